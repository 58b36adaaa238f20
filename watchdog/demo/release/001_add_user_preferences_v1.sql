-- add_user_preferences_v1
SET LOCAL lock_timeout = '2s';

CREATE TABLE user_preferences (
    user_id bigint PRIMARY KEY REFERENCES users (id),
    prefs jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX user_preferences_updated_at_idx ON user_preferences (updated_at);

INSERT INTO schema_versions (version, description)
VALUES ('add_user_preferences_v1', 'preferences of users');
