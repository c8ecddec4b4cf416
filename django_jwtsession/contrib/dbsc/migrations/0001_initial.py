from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Binding",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("jwk", models.JSONField()),
                ("thumbprint", models.CharField(max_length=43)),
                ("algorithm", models.CharField(default="ES256", max_length=16)),
                ("bound_at", models.DateTimeField()),
                ("last_proof_at", models.DateTimeField(db_index=True)),
                ("answered", models.PositiveBigIntegerField(default=0)),
            ],
        ),
    ]
