"""The site's own records of its users."""

from django.conf import settings
from django.db import models


class Access(models.Model):
    """Since when a user's signed links are valid; ``revoke_tokens`` moves it to now."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="access")
    links_valid_from = models.DateTimeField()

    class Meta:
        verbose_name_plural = "access"

    def __str__(self) -> str:
        return f"{self.user}: links since {self.links_valid_from}"
