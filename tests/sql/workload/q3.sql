with r as (select record_id, device_id, tenant_id, os.name as os_name, os.build as b, cpu.usage_pct as u, collected_at,
                  list_min(list_transform(disks, lambda d: d.free_gb)) as mf, list_bool_and(list_transform(disks, lambda d: d.encrypted)) as enc from inv)
select r.record_id, r.device_id, r.tenant_id, r.collected_at, p.policy_id, p.severity, b < min_os_build as bad_os, u > max_cpu_pct as bad_cpu,
       mf < min_free_disk_gb as bad_disk, (require_encryption and not enc) as bad_enc
from r join pol p on (p.tenant_id is null or p.tenant_id = r.tenant_id) and (p.os_name is null or p.os_name = r.os_name)
where b < min_os_build or u > max_cpu_pct or mf < min_free_disk_gb or (require_encryption and not enc)
