import environ

env = environ.Env()
DATABASES = {"default": env.db("DATABASE_URL") | {"CONN_MAX_AGE": 60}}
# The last for the pool of threads in asgi.py alone.
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "chatflow.workflows",
]
SECRET_KEY = "only-for-the-bench"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "bench.peers.bare_view.views"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
