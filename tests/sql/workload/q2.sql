with k as (select device_id as d, max(row(collected_at, record_id)) as k from inv group by 1)
select record_id, tenant_id, device_id, hostname, site, os.name as os_name, os.version as os_version, os.build as os_build, cpu.model as cpu_model,
       cpu.cores as cpu_cores, cpu.usage_pct as cpu_usage_pct, memory.total_mb, memory.used_mb, agent_version, last_boot, collected_at, disks, software, tags
from inv join k on device_id = d and row(collected_at, record_id) = k
