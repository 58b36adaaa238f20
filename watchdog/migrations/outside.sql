-- What lies outside the schema: a script that changes it is refused.
SELECT md5(coalesce((SELECT string_agg(o::text, ',' ORDER BY oid) FROM pg_largeobject_metadata o), '')),
       md5(coalesce((SELECT string_agg(s::text, ',' ORDER BY s::text) FROM pg_db_role_setting s), '')),
       md5(coalesce((SELECT string_agg(r::text, ',' ORDER BY r::text) FROM pg_roles r), '')),
       md5(coalesce((SELECT string_agg(m::text, ',' ORDER BY m::text) FROM pg_auth_members m), '')),
       md5(coalesce((SELECT string_agg(d::text, ',' ORDER BY d::text) FROM pg_shdescription d), '')),
       md5(coalesce((SELECT string_agg(f::text, ',' ORDER BY f::text) FROM pg_foreign_server f), '')),
       (SELECT concat_ws(',', datdba, datacl::text, datconnlimit) FROM pg_database WHERE datname = current_database())
