"""Questions over the project's own documentation, and the sections that answer each.

They are worded as somebody would ask who has not read the pages. A section is named by its page
and its own heading; tests/workflows/knowledge/test_recall.py checks that each is still there. Where
a question finds the wrong section, the search is to be mended, never the question.
"""

QUESTIONS: dict[str, set[str]] = {
    "How do I set nginx for SSE?": {
        "deploy.md#5. nginx and https",
        "operate.md#The stream drops, or comes in lumps",
    },
    "Which packages do I have to install on a fresh Debian server?": {
        "deploy.md#1. What is needed"
    },
    "How do I create the PostgreSQL database and its user?": {"deploy.md#2. The database"},
    "Where do I put the settings in production?": {"deploy.md#3. The project"},
    "How is systemd used to keep the processes running?": {"deploy.md#4. The processes"},
    "How can I get an SSL certificate?": {"deploy.md#5. nginx and https"},
    "I want a second machine that only runs workers": {"deploy.md#More of everything"},
    "Does it work with PgBouncer?": {"deploy.md#More of everything"},
    "Do I need Redis?": {"deploy.md#More of everything"},
    "How do I back up and restore my data?": {"deploy.md#Backups"},
    "What are the steps to update to a newer version?": {"deploy.md#Upgrades"},
    "What should I verify before going live?": {"deploy.md#Checklist"},
    "The queue is stuck and nothing gets processed": {"operate.md#Trouble"},
    "Why does my stream arrive all at once instead of live?": {
        "operate.md#The stream drops, or comes in lumps"
    },
    "A job takes too long and is aborted, how can I give it more time?": {
        "operate.md#A workflow times out",
        "write-a-workflow.md#When it fails",
    },
    "What can an administrator do with a job in the admin pages?": {"operate.md#The admin"},
    "Which permissions does a staff member need to look at jobs?": {"operate.md#The admin"},
    "How many jobs are waiting in the queue right now?": {"operate.md#queue_monitor"},
    "Where do I see a list of failed jobs?": {"operate.md#queue_failed", "operate.md#Trouble"},
    "How can I rerun all failed jobs from the command line?": {
        "operate.md#queue_retry, queue_forget, queue_flush"
    },
    "How do I run a single worker in the foreground for debugging?": {"operate.md#queue_work"},
    "How do I delete old jobs from the database every night?": {"operate.md#queue_prune"},
    "What metrics are there for Prometheus?": {
        "operate.md#Watching",
        "http-api.md#For machines that watch",
    },
    "What happens to running jobs when I stop the cluster?": {
        "operate.md#Stopping and restarting",
        "deploy.md#Upgrades",
        "guarantees.md#Processes that die",
    },
    "How do I rotate the secret key?": {"operate.md#A new SECRET_KEY", "deploy.md#3. The project"},
    "What if a worker is killed with kill -9?": {"guarantees.md#Processes that die"},
    "Does it survive a database outage?": {"guarantees.md#Servers that go away"},
    "Can two workers run the same job at the same time?": {
        "guarantees.md#Nothing is lost, nothing is done twice",
        "guarantees.md#What is not promised",
    },
    "Is an email guaranteed to be sent exactly once?": {"guarantees.md#What is not promised"},
    "Can I use SQLite on more than one host?": {"guarantees.md#What is not promised"},
    "Why isn't django-q2's Redis broker used?": {"libraries.md#django-q2: the workers"},
    "What is wrong with the stream function of django-eventstream?": {
        "libraries.md#django-eventstream: the streams"
    },
    "How do I authenticate API calls?": {
        "http-api.md#Who is asking",
        "frontend.md#Who is asking",
    },
    "What is the maximum length of a message?": {"http-api.md#Send a message"},
    "How do I avoid sending the same request twice?": {
        "http-api.md#Once only",
        "frontend.md#Sending once",
    },
    "What fields does the status of a job have?": {"http-api.md#Look at a job"},
    "How does a client resume a stream where it was cut off?": {
        "http-api.md#Follow a job",
        "frontend.md#When the connection breaks",
    },
    "How do I abort a running job through the API?": {"http-api.md#Cancel and retry"},
    "How do I page through my jobs?": {"http-api.md#Your jobs"},
    "How can I read old messages of a session?": {"http-api.md#A conversation"},
    "What do the HTTP error codes mean?": {
        "http-api.md#When something is wrong",
        "frontend.md#Errors",
    },
    "Is there a JavaScript client that I can import?": {"frontend.md#AsyncChatClient"},
    "Show me how to use EventSource directly": {"frontend.md#A bare EventSource"},
    "Can I poll instead of streaming?": {"frontend.md#Polling"},
    "How do I enable CORS for my frontend's domain?": {
        "frontend.md#Another origin",
        "http-api.md#From other sites",
    },
    "How do I show a question with buttons in my user interface?": {
        "frontend.md#Questions and their answers"
    },
    "Why must the code between steps be deterministic?": {"write-a-workflow.md#How a run works"},
    "How can a step write to the database exactly once?": {
        "write-a-workflow.md#Steps",
        "guarantees.md#Nothing is lost, nothing is done twice",
    },
    "How do I ask the user to choose between options?": {"write-a-workflow.md#Questions"},
    "How can I return links and suggestions with an answer?": {"write-a-workflow.md#The answer"},
    "How do I show the user my own error message?": {"write-a-workflow.md#When it fails"},
    "Can steps run in parallel?": {"write-a-workflow.md#Async"},
    "How do I write a unit test for a workflow?": {"write-a-workflow.md#Test it"},
    "Which arguments does the workflow decorator accept?": {"write-a-workflow.md#All options"},
    "How many jobs per second can it process?": {"performance.md#Measured"},
    "How do I start the demo?": {"README.md#Try it"},
    "Where do I put my first workflow?": {
        "README.md#Your first workflow",
        "write-a-workflow.md#Write a workflow",
    },
}

# Written after the synonyms, to see how the search does with questions that nobody had in mind.
# Since then they have had a say in a stop word, a synonym and two weights of the ranking.
UNSEEN: dict[str, set[str]] = {
    "How can I tell whether the site is ready to serve traffic?": {
        "deploy.md#4. The processes",
        "http-api.md#For machines that watch",
        "operate.md#Watching",
    },
    "Who is allowed to see my conversations?": {"http-api.md#Who is asking"},
    "How do I make an access token for a script?": {
        "deploy.md#3. The project",
        "frontend.md#Who is asking",
        "http-api.md#Who is asking",
        "http-api.md#Tokens",
    },
    "My proxy buffers the events, what now?": {
        "deploy.md#5. nginx and https",
        "operate.md#The stream drops, or comes in lumps",
    },
    "How many connections to PostgreSQL will be opened?": {"deploy.md#More of everything"},
    "Where are static files served from?": {"deploy.md#5. nginx and https"},
    "What is a lease and when does it expire?": {
        "guarantees.md#Processes that die",
        "guarantees.md#What is not promised",
        "operate.md#Stopping and restarting",
    },
    "Is an answer given to a cancelled job?": {
        "frontend.md#Errors",
        "guarantees.md#What is not promised",
        "http-api.md#Cancel and retry",
        "http-api.md#Look at a job",
    },
    "What does on_busy do?": {
        "guarantees.md#Stops, tries and queues",
        "http-api.md#Send a message",
    },
    "How do I report progress from my own code?": {"write-a-workflow.md#Steps"},
    "What may a step return?": {"write-a-workflow.md#Steps"},
    "How do I ask a yes or no question?": {
        "frontend.md#Questions and their answers",
        "write-a-workflow.md#Questions",
    },
    "How many times is a failing workflow attempted again?": {
        "guarantees.md#Stops, tries and queues",
        "write-a-workflow.md#When it fails",
    },
    "Is it a problem if the browser tab is closed?": {
        "README.md#Chatflow",
        "frontend.md#When the connection breaks",
    },
    "What login does the demo have?": {"README.md#Try it"},
    "I come from Laravel, which commands replace artisan?": {"operate.md#Trouble"},
    "How do I drain a cluster before maintenance?": {
        "deploy.md#Upgrades",
        "guarantees.md#Processes that die",
        "operate.md#Stopping and restarting",
    },
    "What memory does an idle listener cost?": {
        "performance.md#Measured",
        "performance.md#What each figure means",
        "performance.md#What misses, and why",
    },
    "Can a frontend on another domain use cookies?": {
        "frontend.md#Another origin",
        "http-api.md#From other sites",
    },
    "What does the stream send while nothing happens?": {
        "http-api.md#Follow a job",
        "operate.md#The stream drops, or comes in lumps",
    },
    "Which error do I get when I exceed the rate limit?": {
        "frontend.md#Errors",
        "http-api.md#When something is wrong",
    },
    "How are events numbered?": {
        "guarantees.md#Nothing is lost, nothing is done twice",
        "http-api.md#Follow a job",
    },
    "How do I write an asynchronous workflow?": {"write-a-workflow.md#Async"},
    "What happens when my code changes while a job is under way?": {
        "deploy.md#Upgrades",
        "guarantees.md#Stops, tries and queues",
        "write-a-workflow.md#How a run works",
    },
    "How do I enable HSTS?": {"deploy.md#5. nginx and https"},
    "Can I schedule ordinary django-q2 tasks too?": {
        "guarantees.md#Stops, tries and queues",
        "operate.md#The admin",
        "operate.md#queue_work",
    },
}

# Questions about things outside of the documentation: without a model they get no answer from it.
FOREIGN = [
    "What is the weather in Paris?",
    "Tell me a joke about cats",
    "Who won the football world cup?",
    "How do I bake a chocolate cake?",
    "What is the capital of Australia?",
    "Translate good morning into Spanish",
    "How tall is the Eiffel Tower?",
    "Recommend me a novel by Tolstoy",
    "What should I cook for dinner tonight?",
    "How do I train for a marathon?",
    "When was Mozart born?",
    "Explain photosynthesis to a child",
]
