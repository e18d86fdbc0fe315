select tenant_id, site, os.name as os_name, date_trunc('hour', collected_at) as h, count(*) as n, avg(cpu.usage_pct) as c,
       avg(memory.used_mb::double / memory.total_mb) as m, min(list_min(list_transform(disks, lambda d: d.free_gb))) as f
from inv group by all order by all
