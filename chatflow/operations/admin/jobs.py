"""The pages of jobs: that of one job is in job_page/, the list in job_list_pages.py."""

from django.contrib import admin

from chatflow.operations.admin.job_list_pages import JobListPages
from chatflow.operations.job_page.page import JobPage
from chatflow.workflows.models import Job


@admin.register(Job)
class JobAdmin(JobPage, JobListPages):
    pass
