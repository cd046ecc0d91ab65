"""Three user models, of which the settings choose one: by their keys and their tables."""

import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class People(BaseUserManager[Any]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Any:
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None) -> Any:
        return self.create_user(email, password, is_staff=True, is_superuser=True)


class Person(AbstractBaseUser, PermissionsMixin):
    """Nobody is ever deactivated here, and the manager is not called ``objects``."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)

    people = People()
    USERNAME_FIELD = "email"

    def __str__(self) -> str:
        return self.email


class Member(Person):
    """A person with a row in a second table, whose key is the first one's."""

    is_active = models.BooleanField(default=True)


class Account(AbstractBaseUser):
    """The address itself is the key."""

    email = models.EmailField(primary_key=True)
    is_staff = models.BooleanField(default=False)
    is_superuser = models.BooleanField(default=False)

    people = People()
    USERNAME_FIELD = "email"

    def __str__(self) -> str:
        return self.email

    def has_perm(self, permission: str, row: Any = None) -> bool:
        return self.is_superuser

    def has_module_perms(self, app: str) -> bool:
        return self.is_superuser
