-- Takes back add_user_preferences_v1. What users have written is in watchdog.archive_user_preferences.
DROP TABLE user_preferences;

DELETE FROM schema_versions WHERE version = 'add_user_preferences_v1';
