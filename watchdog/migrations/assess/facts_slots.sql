SELECT slot_name,
       coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                     ELSE pg_current_wal_lsn() END, restart_lsn), 0)::int8
  FROM pg_replication_slots WHERE slot_type = 'logical' AND database = current_database()
