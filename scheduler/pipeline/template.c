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
    "    partition_by: [days(collected_at)]\n";

weir_status weir_pipeline_template(const char *template_name, const char *name,
                                   struct weir_buffer *out, struct weir_error *reterr)
{
    if (strcmp(template_name, "inventory") != 0) {
        weir_status status = weir_fail(reterr, WEIR_NOT_FOUND, "no template %.100s", template_name);
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
