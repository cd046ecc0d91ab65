from typing import ClassVar

from django.db import migrations

from chatflow.workflows.tenants import tenant_field


class Migration(migrations.Migration):
    dependencies: ClassVar = [("chatflow_workflows", "0014_accessors")]

    operations: ClassVar = [
        migrations.AddField(model_name=name, name="tenant", field=tenant_field())
        for name in ("session", "deletedsession", "job")
    ]
