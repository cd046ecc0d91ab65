from django.urls import path

from workflows.invoicing import views

app_name = "invoicing"

urlpatterns = [
    path("", views.invoice_list, name="invoices"),
    path("<uuid:invoice_id>/", views.invoice, name="invoice"),
]
