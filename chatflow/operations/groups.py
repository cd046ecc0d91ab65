"""The groups of the staff that an installation begins with. A migration makes them, once.

Whoever renames, changes or deletes one is not overruled.
"""

from typing import Any

from django.apps import apps as present
from django.conf import settings

VIEWED = {
    "chatflow_workflows": (
        *("session", "message", "job", "step", "event", "feedback", "approvalrequest"),
        *("dailyusage", "taskrun", "cluster"),
    ),
    "chatflow_knowledge": ("document", "attachment", "chunk", "unreadfile"),
    "chatflow": ("token",),
    "chatflow_operations": ("act",),
}
VIEW = [(label, name, "view") for label, names in VIEWED.items() for name in names]
OPERATE = [
    *VIEW,
    ("chatflow_workflows", "job", "change"),
    ("chatflow_workflows", "approvalrequest", "change"),
]
ADMINISTER = [
    *OPERATE,
    ("chatflow_operations", "act", "read_texts"),
    ("chatflow_operations", "act", "manage_persons"),
    ("chatflow_workflows", "session", "delete"),
    ("chatflow_workflows", "job", "delete"),
    *(("chatflow_knowledge", "document", action) for action in ("add", "change", "delete")),
    *(("chatflow", "token", action) for action in ("add", "delete")),
    # Their arguments may be anything.
    *(("django_q", name, "view") for name in ("schedule", "success", "failure", "ormq")),
]
GROUPS = {
    "Chatflow: view": VIEW,
    "Chatflow: operate": OPERATE,
    "Chatflow: administer": ADMINISTER,
}
# Who could see one of these before there was a permission for its words read them.
WITH_WORDS = {
    "chatflow_workflows": (
        *("session", "message", "job", "step", "event", "feedback", "approvalrequest", "taskrun"),
    ),
    "chatflow_knowledge": ("document", "attachment", "chunk"),
}


def make_groups(apps: Any, database: str = "") -> None:
    """Make those of the groups that are not there.

    Args:
        apps: the present ones, or those of a migration.
        database: its alias; by default the routers say which one.
    """
    groups = apps.get_model("auth", "Group").objects.using(database)
    for name, wanted in GROUPS.items():
        group, made = groups.get_or_create(name=name)
        if made:
            group.permissions.set([_permission(apps, database, *each) for each in wanted])


def let_readers_read(apps: Any, database: str = "") -> None:
    """Give the permission to read words to all users and groups that have read them so far.

    Args:
        apps: the present ones, or those of a migration.
        database: its alias; by default the routers say which one.
    """
    permissions = apps.get_model("auth", "Permission").objects.using(database)
    held = [
        key
        for label, names in WITH_WORDS.items()
        for key in permissions.filter(
            content_type__app_label=label,
            codename__in=[f"{action}_{name}" for action in ("view", "change") for name in names],
        ).values_list("pk", flat=True)
    ]
    if not held:
        return
    users, groups = apps.get_model(settings.AUTH_USER_MODEL), apps.get_model("auth", "Group")
    read = _permission(apps, database, "chatflow_operations", "act", "read_texts")
    for group in groups._base_manager.using(database).filter(permissions__in=held).distinct():
        group.permissions.add(read)
    # A project's own users may have their permissions from elsewhere.
    if any(field.name == "user_permissions" for field in users._meta.many_to_many):
        found = users._base_manager.using(database).filter(user_permissions__in=held)
        for user in found.distinct():
            user.user_permissions.add(read)


def _permission(apps: Any, database: str, label: str, name: str, action: str) -> Any:
    """Return a permission; Django makes them all itself, but only when all migrations are done."""
    model = present.get_model(label, name)._meta
    custom = dict(model.permissions)
    codename = action if action in custom else f"{action}_{name}"
    kinds = apps.get_model("contenttypes", "ContentType").objects.using(database)
    kind, _ = kinds.get_or_create(app_label=label, model=name)
    found, _ = (
        apps.get_model("auth", "Permission")
        .objects.using(database)
        .get_or_create(
            content_type=kind,
            codename=codename,
            defaults={"name": custom.get(action, f"Can {action} {model.verbose_name_raw}")},
        )
    )
    return found
