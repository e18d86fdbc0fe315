/* Pipeline files for `weir init`: from a template, or from the columns found in a sample. */
#include "scheduler/pipeline/pipeline.h"

#include <string.h>

static const char inventory_text[] =
    "version: 1\n"
    "name: %s\n"
    "\n"
    "lake:\n"
    "  warehouse: ./lake                  # or s3://{tenant}-{region}-datalake, with tenant and "
    "region beside it\n"
    "\n"
    "sources:\n"
    "  inventory:\n"
    "    kafka:\n"
    "      topics: [inventory]\n"
    "      properties: {bootstrap.servers: \"${BROKERS:-localhost:9092}\"}\n"
    "    format: json\n"
    "  policy:\n"
    "    files: reference/policies.csv\n"
    "    format: csv\n"
    "\n"
    "tables:\n"
    "  bronze.inventory:\n"
    "    source: inventory\n"
    "    columns:\n"
    "      record_id: string required\n"
    "      tenant_id: string required\n"
    "      device_id: string required\n"
    "      hostname: string\n"
    "      site: string\n"
    "      os: struct<name:string, version:string, build:int>\n"
    "      cpu: struct<model:string, cores:int, usage_pct:double>\n"
    "      memory: struct<total_mb:long, used_mb:long>\n"
    "      disks: list<struct<mount:string, total_gb:double, free_gb:double, encrypted:boolean>>\n"
    "      software: list<struct<name:string, version:string>>\n"
    "      agent_version: string\n"
    "      last_boot: timestamptz\n"
    "      collected_at: timestamptz required\n"
    "      tags: map<string, string>\n"
    "    expect:\n"
    "      - {that: \"cpu.usage_pct between 0 and 100\", on_fail: quarantine}\n"
    "    partition_by: [days(collected_at)]\n"
    "  bronze.policy:\n"
    "    source: policy\n"
    "    mode: full                         # the file is the whole truth each time it changes\n"
    "    columns:\n"
    "      policy_id: string required\n"
    "      tenant_id: string                # empty: any\n"
    "      os_name: string\n"
    "      min_os_build: int\n"
    "      max_cpu_pct: double\n"
    "      min_free_disk_gb: double\n"
    "      require_encryption: boolean\n"
    "      severity: string\n"
    "\n"
    "  silver.device:                       # the newest record of each device\n"
    "    sql: models/device.sql\n"
    "    mode: merge\n"
    "    unique_key: [device_id]\n"
    "    order_by: [collected_at desc, record_id desc]\n"
    "    expect:\n"
    "      - not_null: [device_id, tenant_id]\n"
    "      - unique: [device_id]\n"
    "      - {name: disks_sane, that: \"free_gb >= 0\", on_fail: warn}\n"
    "  gold.site_hourly:                    # averages; a late record corrects its own hour\n"
    "    sql: models/site_hourly.sql\n"
    "    mode: recompute\n"
    "    group_by: [tenant_id, site, hour]\n"
    "    partition_by: [days(hour)]\n"
    "  gold.violations:                     # an alert opens, and closes\n"
    "    sql: models/violations.sql\n"
    "    mode: merge\n"
    "    unique_key: [device_id, policy_id]\n"
    "    delete_when: \"resolved\"\n"
    "\n"
    "sinks:\n"
    "  alerts:                              # what opens, changes and closes; the topic must be "
    "there\n"
    "    from: gold.violations\n"
    "    kafka: {topic: violations, properties: {bootstrap.servers: "
    "\"${BROKERS:-localhost:9092}\"}}\n"
    "  # pager:                             # or a webhook, or an index: docs/sinks.md\n"
    "  #   from: gold.violations\n"
    "  #   changes: [insert]\n"
    "  #   where: \"severity = 'high'\"\n"
    "  #   webhook: {url: \"${PAGER_URL}\", hmac_key: \"file:/var/run/secrets/pager\"}\n";

static const struct weir_template_file inventory_files[] = {
    {"models/device.sql",
     "-- The newest record of each device, flattened; which one wins is order_by of "
     "silver.device.\n"
     "SELECT device_id, tenant_id, record_id, collected_at, hostname, site,\n"
     "       os.name AS os_name, os.build AS os_build, cpu.usage_pct AS cpu_usage_pct,\n"
     "       memory.used_mb, memory.total_mb,\n"
     "       list_min(list_transform(disks, d -> d.free_gb)) AS free_gb,\n"
     "       list_bool_and(list_transform(disks, d -> d.encrypted)) AS encrypted\n"
     "FROM bronze.inventory\n"},
    {"models/site_hourly.sql",
     "SELECT tenant_id, site, date_trunc('hour', collected_at) AS hour, count(*) AS records,\n"
     "       avg(cpu.usage_pct) AS cpu_usage_pct,\n"
     "       avg(memory.used_mb::double / memory.total_mb) AS memory_share,\n"
     "       min(list_min(list_transform(disks, d -> d.free_gb))) AS free_gb\n"
     "FROM bronze.inventory\n"
     "GROUP BY 1, 2, 3\n"},
    {"models/violations.sql",
     "-- Each device beside the rules that are for it; a rule that holds resolves its alert.\n"
     "SELECT device_id, policy_id, tenant_id, severity, hostname, collected_at,\n"
     "       bad_os, bad_cpu, bad_disk, bad_encryption,\n"
     "       NOT (bad_os OR bad_cpu OR bad_disk OR bad_encryption) AS resolved\n"
     "FROM (SELECT d.device_id, p.policy_id, d.tenant_id, p.severity, d.hostname, d.collected_at,\n"
     "             coalesce(d.os_build < p.min_os_build, false) AS bad_os,\n"
     "             coalesce(d.cpu_usage_pct > p.max_cpu_pct, false) AS bad_cpu,\n"
     "             coalesce(d.free_gb < p.min_free_disk_gb, false) AS bad_disk,\n"
     "             coalesce(p.require_encryption AND NOT d.encrypted, false) AS bad_encryption\n"
     "      FROM silver.device d JOIN bronze.policy p\n"
     "        ON (p.tenant_id IS NULL OR p.tenant_id = d.tenant_id)\n"
     "       AND (p.os_name IS NULL OR p.os_name = d.os_name)) v\n"},
    {"reference/policies.csv",
     "policy_id,tenant_id,os_name,min_os_build,max_cpu_pct,min_free_disk_gb,require_encryption,"
     "severity\n"
     "pol-build,,Windows 11,22621,,,,medium\n"
     "pol-cpu,,,,98.5,,,low\n"
     "pol-disk,,,,,5.0,,high\n"
     "pol-encryption,tenant-01,,,,,true,high\n"},
    {"tests/device.yaml",
     "# Rows given to the tables that a model reads, and the rows that it must give: `weir test`.\n"
     "tests:\n"
     "  - name: the newest record of a device wins, whatever the order of arrival\n"
     "    model: silver.device\n"
     "    steps:\n"
     "      - given:\n"
     "          bronze.inventory:\n"
     "            - {record_id: r2, tenant_id: t1, device_id: d1, site: london, collected_at: "
     "2026-03-01T10:05:00Z, cpu: {usage_pct: 20}}\n"
     "            - {record_id: r1, tenant_id: t1, device_id: d1, site: paris, collected_at: "
     "2026-03-01T10:00:00Z, cpu: {usage_pct: 90}}\n"
     "        expect:\n"
     "          - {device_id: d1, record_id: r2, site: london, cpu_usage_pct: 20}\n"
     "      - given: # three days late: it changes nothing\n"
     "          bronze.inventory:\n"
     "            - {record_id: r0, tenant_id: t1, device_id: d1, site: berlin, collected_at: "
     "2026-02-26T10:00:00Z}\n"
     "        expect:\n"
     "          - {device_id: d1, record_id: r2, site: london, cpu_usage_pct: 20}\n"
     "  - name: the fullest disk counts, and one unencrypted disk is enough\n"
     "    model: silver.device\n"
     "    given:\n"
     "      bronze.inventory:\n"
     "        - record_id: r1\n"
     "          tenant_id: t1\n"
     "          device_id: d1\n"
     "          collected_at: 2026-03-01T10:00:00Z\n"
     "          disks: [{mount: /, free_gb: 12.5, encrypted: true}, {mount: /home, free_gb: 3.25, "
     "encrypted: false}]\n"
     "    expect: [{device_id: d1, free_gb: 3.25, encrypted: false}]\n"
     "  - name: less than no space is told of, and let through\n"
     "    model: silver.device\n"
     "    given:\n"
     "      bronze.inventory:\n"
     "        - {record_id: r1, tenant_id: t1, device_id: d1, collected_at: 2026-03-01T10:00:00Z, "
     "disks: [{mount: /, free_gb: -1}]}\n"
     "    gates: [disks_sane] # these do not hold, the others do\n"
     "    expect: [{device_id: d1, free_gb: -1}]\n"},
    {"tests/site_hourly.yaml", "tests:\n"
                               "  - name: a late record corrects its own hour\n"
                               "    model: gold.site_hourly\n"
                               "    steps:\n"
                               "      - given:\n"
                               "          bronze.inventory:\n"
                               "            - {record_id: r1, tenant_id: t1, device_id: d1, site: "
                               "london, collected_at: 2026-03-01T10:05:00Z, cpu: {usage_pct: 20}}\n"
                               "            - {record_id: r2, tenant_id: t1, device_id: d2, site: "
                               "london, collected_at: 2026-03-01T10:59:59Z, cpu: {usage_pct: 40}}\n"
                               "            - {record_id: r3, tenant_id: t1, device_id: d1, site: "
                               "london, collected_at: 2026-03-01T11:00:00Z, cpu: {usage_pct: 50}}\n"
                               "        expect:\n"
                               "          - {tenant_id: t1, site: london, hour: "
                               "2026-03-01T10:00:00Z, records: 2, cpu_usage_pct: 30}\n"
                               "          - {tenant_id: t1, site: london, hour: "
                               "2026-03-01T11:00:00Z, records: 1, cpu_usage_pct: 50}\n"
                               "      - given:\n"
                               "          bronze.inventory:\n"
                               "            - {record_id: r4, tenant_id: t1, device_id: d3, site: "
                               "london, collected_at: 2026-03-01T10:30:00Z, cpu: {usage_pct: 10}}\n"
                               "        expect:\n"
                               "          tolerance: 1e-9\n"
                               "          rows:\n"
                               "            - {tenant_id: t1, site: london, hour: "
                               "2026-03-01T10:00:00Z, records: 3, cpu_usage_pct: 23.333333333}\n"
                               "            - {tenant_id: t1, site: london, hour: "
                               "2026-03-01T11:00:00Z, records: 1, cpu_usage_pct: 50}\n"},
    {"tests/violations.yaml",
     "tests:\n"
     "  - name: an alert opens, and closes\n"
     "    model: gold.violations # silver.device, which it reads, is promoted from the records "
     "given\n"
     "    steps:\n"
     "      - given:\n"
     "          bronze.policy: {csv: \"policy_id,max_cpu_pct,severity\\npol-cpu,98.5,low\\n\"}\n"
     "          bronze.inventory:\n"
     "            - {record_id: r1, tenant_id: t1, device_id: d1, collected_at: "
     "2026-03-01T10:00:00Z, cpu: {usage_pct: 99}}\n"
     "            - {record_id: r2, tenant_id: t1, device_id: d2, collected_at: "
     "2026-03-01T10:00:00Z, cpu: {usage_pct: 98.5}}\n"
     "        expect:\n"
     "          - {device_id: d1, policy_id: pol-cpu, severity: low, bad_cpu: true, bad_disk: "
     "false}\n"
     "      - given:\n"
     "          bronze.inventory:\n"
     "            - {record_id: r3, tenant_id: t1, device_id: d1, collected_at: "
     "2026-03-01T10:10:00Z, cpu: {usage_pct: 40}}\n"
     "        expect: []\n"
     "  - name: a rule that is relaxed closes its alerts\n"
     "    model: gold.violations\n"
     "    steps:\n"
     "      - given:\n"
     "          bronze.policy: [{policy_id: pol-cpu, max_cpu_pct: 90, severity: low}]\n"
     "          silver.device: [{device_id: d1, tenant_id: t1, cpu_usage_pct: 95}]\n"
     "        expect: [{device_id: d1, policy_id: pol-cpu}]\n"
     "      - given: # of a table that is no stream, the rows given are all that it holds from now "
     "on\n"
     "          bronze.policy: [{policy_id: pol-cpu, max_cpu_pct: 98, severity: low}]\n"
     "        expect: []\n"
     "  - name: a rule for one tenant and one system leaves the others alone\n"
     "    model: gold.violations\n"
     "    given:\n"
     "      bronze.policy:\n"
     "        - {policy_id: pol-build, os_name: Windows 11, min_os_build: 22621, severity: "
     "medium}\n"
     "        - {policy_id: pol-encryption, tenant_id: t1, require_encryption: true, severity: "
     "high}\n"
     "      silver.device:\n"
     "        - {device_id: d1, tenant_id: t1, os_name: Windows 11, os_build: 22000, encrypted: "
     "false}\n"
     "        - {device_id: d2, tenant_id: t2, os_name: Windows 10, os_build: 19045, encrypted: "
     "false}\n"
     "    expect:\n"
     "      - {device_id: d1, policy_id: pol-build, severity: medium}\n"
     "      - {device_id: d1, policy_id: pol-encryption, severity: high}\n"},
};

const struct weir_template_file *weir_pipeline_template_files(size_t *ret_count)
{
    *ret_count = sizeof inventory_files / sizeof *inventory_files;
    return inventory_files;
}

weir_status weir_pipeline_template(const char *template_name, const char *name,
                                   struct weir_buffer *out, struct weir_error *reterr)
{
    if (strcmp(template_name, "inventory") != 0) {
        weir_status status = weir_fail(reterr, WEIR_USAGE, "no template %.100s", template_name);
        weir_error_hint(reterr, "there is: inventory");
        return status;
    }
    const char *mark = strstr(inventory_text, "%s");
    WEIR_TRY(weir_buffer_append(out, inventory_text, (size_t)(mark - inventory_text), reterr));
    WEIR_TRY(weir_buffer_append(out, name, strlen(name), reterr));
    return weir_buffer_print(out, reterr, "%s", mark + 2);
}

/* A text in double quotes where YAML could read it otherwise; keys are not filled from the
 * environment. */
static weir_status put_text(const char *text, bool is_key, struct weir_buffer *out,
                            struct weir_error *reterr)
{
    size_t size = strlen(text);
    bool plain = size &&
                 strspn(text,
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./*-") ==
                     size &&
                 !strchr("-*.0123456789", text[0]);
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        plain &= strcasecmp(text, words[i]) != 0;
    if (plain)
        return weir_buffer_append(out, text, size, reterr);
    WEIR_TRY(weir_buffer_append(out, "\"", 1, reterr));
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            WEIR_TRY(weir_buffer_append(out, "\\", 1, reterr));
        if (!is_key && *c == '$' && c[1] == '{')
            WEIR_TRY(weir_buffer_append(out, "$", 1, reterr));
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            WEIR_TRY(weir_buffer_print(out, reterr, "\\x%02x", (unsigned char)*c));
        else
            WEIR_TRY(weir_buffer_append(out, c, 1, reterr));
    }
    return weir_buffer_append(out, "\"", 1, reterr);
}

static weir_status put_columns(const struct weir_type *columns, struct weir_buffer *out,
                               struct weir_error *reterr)
{
    for (uint32_t i = 0; i < columns->child_count; i++) {
        const struct weir_field *field = &columns->children[i];
        WEIR_AUTO(weir_buffer) type = {.account = out->account};
        WEIR_TRY(weir_type_print(&field->type, &type, reterr));
        WEIR_TRY(weir_buffer_print(&type, reterr, "%s", field->required ? " required" : ""));
        WEIR_TRY(weir_buffer_print(out, reterr, "      "));
        WEIR_TRY(put_text(field->name, /* is_key= */ true, out, reterr));
        WEIR_TRY(weir_buffer_append(out, ": ", 2, reterr));
        bool quote = memchr(type.data, '"', type.size) || memchr(type.data, '#', type.size) ||
                     memchr(type.data, '$', type.size);
        WEIR_TRY(quote ? put_text((const char *)type.data, false, out, reterr)
                       : weir_buffer_append(out, type.data, type.size, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, "\n"));
    }
    return WEIR_OK;
}

weir_status weir_pipeline_from_type(const struct weir_pipeline_sketch *sketch,
                                    struct weir_buffer *out, struct weir_error *reterr)
{
    const char *dot = strchr(sketch->table, '.'), *source = dot ? dot + 1 : sketch->table;
    if (sketch->columns->id != WEIR_STRUCT || sketch->columns->child_count == 0)
        return weir_fail(reterr, WEIR_USAGE, "no columns to make a table of");
    if (sketch->comment)
        WEIR_TRY(weir_buffer_print(out, reterr, "# %s\n", sketch->comment));
    WEIR_TRY(weir_buffer_print(out, reterr, "version: 1\nname: "));
    WEIR_TRY(put_text(sketch->name, false, out, reterr));
    WEIR_TRY(weir_buffer_print(out, reterr,
                               "\n\nlake:\n  warehouse: ./lake\n\nsources:\n  %s:\n    ", source));
    if (sketch->files) {
        WEIR_TRY(weir_buffer_print(out, reterr, "files: "));
        WEIR_TRY(put_text(sketch->files, false, out, reterr));
    } else {
        WEIR_TRY(weir_buffer_print(out, reterr, "kafka:\n      topics: ["));
        WEIR_TRY(put_text(sketch->topic ? sketch->topic : source, false, out, reterr));
        WEIR_TRY(weir_buffer_print(
            out, reterr,
            "]\n      properties: {bootstrap.servers: \"${BROKERS:-localhost:9092}\"}"));
    }
    WEIR_TRY(weir_buffer_print(
        out, reterr, "\n    format: json\n\ntables:\n  %s:\n    source: %s\n    columns:\n",
        sketch->table, source));
    return put_columns(sketch->columns, out, reterr);
}
