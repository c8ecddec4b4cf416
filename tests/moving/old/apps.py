from django.apps import AppConfig


class OldConfig(AppConfig):
    name = "tests.moving.old"
    label = "user_sessions"
    default_auto_field = "django.db.models.BigAutoField"
