select record_id, device_id, hostname, cpu.usage_pct, collected_at from inv
where tenant_id = '{tenant}' and collected_at >= timestamptz '{from}' and collected_at < timestamptz '{to}'
