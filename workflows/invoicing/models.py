"""A user's invoices and their parts. Every row belongs to one user, who alone may see it.

A foreign key without an index of its own is the first part of a unique constraint, whose index
serves "all of this owner" and the look-up by name too.
"""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from workflows.invoicing.amounts import MAX_QUANTITY, format_quantity
from workflows.invoicing.drafts import MAX_ADDRESS, MAX_NAME, MAX_PHONE


class Customer(models.Model):
    """Somebody who gets invoices."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="customers", db_index=False
    )
    name = models.CharField(max_length=MAX_NAME)
    email = models.EmailField()
    phone = models.CharField(max_length=MAX_PHONE, blank=True)
    billing_address = models.TextField(max_length=MAX_ADDRESS, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("owner", Lower("name"), name="invoicing_customer_owner_name")
        ]

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """Something that is sold; its price applies to a new line unless the user says otherwise."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="products", db_index=False
    )
    name = models.CharField(max_length=MAX_NAME)
    price = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("owner", Lower("name"), name="invoicing_product_owner_name"),
            models.CheckConstraint(
                condition=Q(price__gte=0), name="invoicing_product_price_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class InvoiceCounter(models.Model):
    """The last number that a user's invoices have used."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="invoice_counter"
    )
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.last)

    @classmethod
    def next_number(cls, owner_id: Any) -> str:
        """Take the owner's next invoice number. Call it in the transaction that uses the number.

        The UPDATE locks the row until that transaction ends, so that two invoices of one owner
        wait for each other, and a transaction that is rolled back gives its number back.
        """
        mine = cls.objects.filter(owner_id=owner_id)
        if not mine.update(last=F("last") + 1):
            # The owner's first invoice; get_or_create loses the race to another first one quietly.
            cls.objects.get_or_create(owner_id=owner_id)
            mine.update(last=F("last") + 1)
        return f"INV-{mine.values_list('last', flat=True).get():06d}"


class Invoice(models.Model):
    """A finished invoice: it is written once, with its lines; then it is paid, or declared void."""

    # Its address can't be guessed from another invoice's.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="invoices", db_index=False
    )
    number = models.CharField(max_length=20)
    # RESTRICT protects a customer with invoices as PROTECT does, but still lets a user be deleted
    # with all that is theirs.
    customer = models.ForeignKey(Customer, models.RESTRICT, related_name="invoices")
    created_at = models.DateTimeField(default=timezone.now)
    total = models.DecimalField(max_digits=14, decimal_places=2)
    paid_at = models.DateTimeField(null=True, blank=True)
    payment_method = models.CharField(max_length=20, blank=True)
    payment_note = models.CharField(max_length=200, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)
    void_reason = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            # Makes numbers unique whatever the counter does.
            models.UniqueConstraint(
                fields=["owner", "number"], name="invoicing_invoice_owner_number"
            ),
            models.CheckConstraint(
                condition=Q(total__gte=0), name="invoicing_invoice_total_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(paid_at__isnull=True) | Q(voided_at__isnull=True),
                name="invoicing_invoice_paid_or_void",
            ),
        ]
        indexes: ClassVar = [
            # The list page: an owner's invoices, the newest first.
            models.Index(fields=["owner", "-created_at"], name="invoicing_invoice_owner_newest"),
        ]

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        return reverse("invoicing:invoice", args=[self.pk])

    @property
    def status(self) -> str:
        """One of open, paid and void."""
        return "paid" if self.paid_at else "void" if self.voided_at else "open"


class InvoiceLine(models.Model):
    """One row of an invoice. It keeps the product's name and price at the time."""

    invoice = models.ForeignKey(Invoice, models.CASCADE, related_name="lines", db_index=False)
    position = models.PositiveSmallIntegerField()
    product = models.ForeignKey(
        Product, models.SET_NULL, null=True, blank=True, related_name="lines"
    )
    description = models.CharField(max_length=MAX_NAME)
    quantity = models.DecimalField(max_digits=10, decimal_places=3)
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)
    total = models.DecimalField(max_digits=14, decimal_places=2)

    class Meta:
        ordering: ClassVar = ["position"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["invoice", "position"], name="invoicing_line_position"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0, quantity__lte=MAX_QUANTITY),
                name="invoicing_line_quantity_positive",
            ),
            models.CheckConstraint(
                condition=Q(unit_price__gte=0, total__gte=0),
                name="invoicing_line_price_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return self.description

    @property
    def quantity_text(self) -> str:
        return format_quantity(self.quantity)
