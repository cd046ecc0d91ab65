from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q

from chatflow.workflows.tenants import tenant_field


class Migration(migrations.Migration):
    dependencies: ClassVar = [("chatflow_knowledge", "0006_accessors")]

    operations: ClassVar = [
        migrations.AddField(model_name="document", name="tenant", field=tenant_field()),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.UniqueConstraint(
                fields=["tenant", "path"],
                condition=Q(owner=None) & ~Q(path=""),
                name="document_tenant_path",
            ),
        ),
        migrations.AddConstraint(
            model_name="document",
            constraint=models.UniqueConstraint(
                fields=["owner", "tenant", "path"],
                condition=~Q(path=""),
                name="document_owner_tenant_path",
            ),
        ),
        migrations.RemoveConstraint(model_name="document", name="document_shared_path"),
        migrations.RemoveConstraint(model_name="document", name="document_owner_path"),
        migrations.RemoveIndex(model_name="document", name="document_owner_newest"),
        migrations.AddIndex(
            model_name="document",
            index=models.Index(
                fields=["owner", "tenant", "-created_at"], name="document_owner_newest"
            ),
        ),
    ]
