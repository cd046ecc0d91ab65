from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("job", models.CharField(max_length=41)),
                ("step", models.CharField(max_length=50)),
                ("attempt", models.PositiveIntegerField()),
                ("pid", models.PositiveIntegerField()),
            ],
        ),
    ]
