from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def of_a_user(name: str, field: Any = models.ForeignKey) -> Any:
    return field(settings.AUTH_USER_MODEL, django.db.models.deletion.CASCADE, related_name=name)


class Migration(migrations.Migration):
    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            name="Work",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True)),
                ("worker", of_a_user("jobs")),
                ("reader", of_a_user("documents")),
                ("talker", of_a_user("chat_sessions")),
                ("decider", of_a_user("approval_requests")),
                ("owner", of_a_user("access", models.OneToOneField)),
            ],
        )
    ]
