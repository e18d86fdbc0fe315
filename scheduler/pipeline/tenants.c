/* `lake.tenant: {from: COLUMN, lakes: FILE}`: one lake for each owner of records. An entry of the
 * file holds what differs from `lake`, is laid over it key by key, and is checked as `lake` is, so
 * that each lake becomes a pipeline of its own that shares everything else. Names of tenants come
 * from that file alone: nothing that a record says ever becomes part of a path. */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/limits.h"

#include <stdlib.h>
#include <string.h>

#define LABEL_SIZE_MAX 63 /* RFC 1035: of a DNS label, as in a bucket's name */
#define VALUE_SIZE_MAX 256

static bool label_good(const struct node *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    return name->kind == NODE_SCALAR && name->size > 0 && name->size <= LABEL_SIZE_MAX &&
           strspn(name->text, letters) == name->size && name->text[0] != '-' &&
           name->text[name->size - 1] != '-';
}

static bool is_operator(const struct node *name)
{
    return node_is(name, WEIR_TENANT_OPERATOR);
}

/* ---- the file ---- */

static bool open_file(struct reading *reading, const struct node *lakes, int *ret_index)
{
    struct weir_error error = {0};
    struct source_file *file = &reading->files[reading->file_count];
    char *text;
    const char *path = get_path(reading, lakes->text);
    if (!path || file_read(reading, path, lakes->text, WEIR_PIPELINE_FILE_SIZE_MAX, &text,
                           &file->size, &error) != WEIR_OK) {
        complain(reading, lakes, 0, NULL, "lake.tenant.lakes: %s", error.text);
        return false;
    }
    file->path = lakes->text;
    file->text = text;
    *ret_index = (int)reading->file_count++;
    return true;
}

static void check_entry(struct reading *reading, const struct node *name, struct node *entry)
{
    if (!label_good(name) || node_is(name, "all")) {
        complain(reading, name, 0,
                 "1 to 63 of a-z 0-9 -, no - at either end, not `all`; `value: ...` below it is "
                 "what records say, where that differs",
                 "%s is no name of a tenant", node_quote(reading, name));
        return;
    }
    if (entry->kind == NODE_NULL) {
        if (!entry->broken)
            entry->kind = NODE_MAP; /* as `{}`: nothing differs */
        return;
    }
    if (entry->kind != NODE_MAP) {
        complain(reading, entry, 0, NULL, "%s: expected a map of keys of `lake`", name->text);
        node_break(entry);
        return;
    }
    const struct node *tenant = node_get_key(entry, "tenant"), *value = node_get(entry, "value");
    if (tenant)
        complain(reading, tenant, 0, NULL, "%s.tenant: the entry's own name is the tenant's",
                 name->text);
    if (value && (value->kind != NODE_SCALAR || value->size == 0 || value->size > VALUE_SIZE_MAX ||
                  strlen(value->text) != value->size))
        complain(reading, value, 0, NULL, "%s.value: expected a text of 1 to %d bytes", name->text,
                 VALUE_SIZE_MAX);
    if (value && is_operator(name))
        complain(reading, node_get_key(entry, "value"), 0, NULL,
                 "operator.value: what has no tenant goes to the operator, whatever it says");
}

/* The entry without what is not of `lake`. */
static struct node *lake_part(struct reading *reading, const struct node *entry)
{
    struct node *part = take(reading, 1, sizeof *part);
    if (!part)
        return NULL;
    *part = *entry;
    part->entries = NULL;
    part->count = part->capacity = 0;
    for (size_t i = 0; i < entry->count; i++)
        if (!node_is(entry->entries[i].key, "value") && !node_is(entry->entries[i].key, "tenant") &&
            !node_add(reading, part, entry->entries[i].key, entry->entries[i].value))
            return NULL;
    return part;
}

struct node *tenants_read(struct reading *reading, const struct node *root)
{
    const struct node *lakes = node_get(node_get(node_get(root, "lake"), "tenant"), "lakes");
    int index;
    if (!lakes || lakes->kind != NODE_SCALAR || reading->status != WEIR_OK ||
        !open_file(reading, lakes, &index))
        return NULL;
    size_t before = reading->complaint_count, others = 0;
    struct node *tenants = tree_read(reading, index);
    if (!tenants)
        return NULL;
    for (size_t i = 0; i < tenants->count && !complain_full(reading); i++) {
        const struct node *name = tenants->entries[i].key;
        struct node *entry = tenants->entries[i].value, *part;
        others += !is_operator(name);
        check_entry(reading, name, entry);
        if (entry->kind == NODE_MAP && (part = lake_part(reading, entry)) != NULL)
            keys_check_part(reading, "lake", name->text, part);
    }
    if (others == 0)
        complain(reading, tenants, 0, "acme: {region: eu-west-2}", "there is no tenant");
    if (others > WEIR_TENANTS_MAX)
        complain(reading, tenants, 0, NULL, "%zu tenants; there may be %d", others,
                 WEIR_TENANTS_MAX);
    return reading->complaint_count == before && reading->status == WEIR_OK ? tenants : NULL;
}

struct node *tenants_root(struct reading *reading, struct node *root, const struct node *tenants,
                          const char *name)
{
    struct node *lake = node_get(root, "lake"), *entry = node_get(tenants, name),
                *copy = take(reading, 1, sizeof *copy);
    if (!copy || !lake)
        return root;
    if (entry && entry->kind == NODE_MAP) {
        struct node *part = lake_part(reading, entry);
        lake = part ? tree_merge(reading, lake, part) : lake;
        keys_check_whole(reading, "lake", name, lake);
    }
    *copy = *root;
    copy->entries = NULL;
    copy->count = copy->capacity = 0;
    for (size_t i = 0; i < root->count; i++)
        if (!node_add(reading, copy, root->entries[i].key,
                      node_is(root->entries[i].key, "lake") ? lake : root->entries[i].value))
            return root;
    return copy;
}

/* ---- lakes ---- */

struct tenants_reading {
    struct reading *reading;
    struct weir_pipeline *pipeline;
    struct node *root;
    const struct node *tenants;
    const char *column;
    struct weir_tenant *sorted;
    size_t count;
};

static int by_value(const void *a, const void *b)
{
    return strcmp(((const struct weir_tenant *)a)->value, ((const struct weir_tenant *)b)->value);
}

static const char *value_of(const struct node *name, const struct node *entry)
{
    const char *value = get_text(entry, "value");
    return value ? value : name->text;
}

static bool list_tenants(struct tenants_reading *at)
{
    at->sorted = take(at->reading, at->tenants->count + 1, sizeof *at->sorted);
    for (size_t i = 0; at->sorted && i < at->tenants->count; i++) {
        const struct node *name = at->tenants->entries[i].key,
                          *entry = at->tenants->entries[i].value;
        if (!is_operator(name))
            at->sorted[at->count++] = (struct weir_tenant){name->text, value_of(name, entry)};
    }
    if (!at->sorted)
        return false;
    qsort(at->sorted, at->count, sizeof *at->sorted, by_value);
    for (size_t i = 1; i < at->count; i++)
        if (strcmp(at->sorted[i - 1].value, at->sorted[i].value) == 0) {
            complain(at->reading, node_get_key(at->tenants, at->sorted[i].name), 0, NULL,
                     "%s and %s are the same tenant to records: '%s'", at->sorted[i - 1].name,
                     at->sorted[i].name, at->sorted[i].value);
            return false;
        }
    return true;
}

/* The owner is told by a column that no record lacks, in every table that records come to. */
static void check_columns(struct tenants_reading *at)
{
    const struct node *from = node_get(node_get(node_get(at->root, "lake"), "tenant"), "from");
    for (size_t i = 0; i < at->pipeline->table_count; i++) {
        const struct weir_table_config *table = &at->pipeline->tables[i];
        const struct weir_field *field = weir_type_child(&table->columns, at->column,
                                                         strlen(at->column));
        if (!field || field->type.id != WEIR_STRING || !field->required)
            complain(at->reading, from, 0,
                     take_print(at->reading, "tables: {%s: {columns: {%s: string required}}}",
                                table->name, at->column),
                     "lake.tenant.from: %s %s %s", table->name,
                     field ? "does not require as a string the column" : "has no column",
                     node_quote(at->reading, from));
    }
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Is b the folder a, or inside it? */
static bool is_inside(const char *a, const char *b)
{
    size_t size = strlen(a);
    return strncmp(a, b, size) == 0 && (b[size] == '\0' || b[size] == '/');
}

/* No two lakes are one place. Two names of one folder, or of one server, are found out when the
 * table there is another tenant's (weir.tenant). */
static void check_place(struct tenants_reading *at, size_t index)
{
    const struct weir_pipeline *lake = &at->pipeline->lakes[index];
    const struct node *name = node_get_key(at->tenants, lake->tenant);
    for (size_t i = 0; i < index && lake->warehouse; i++) {
        const struct weir_pipeline *other = &at->pipeline->lakes[i];
        bool same_store = same_text(lake->s3.endpoint, other->s3.endpoint);
        if (same_store && other->warehouse &&
            (is_inside(other->warehouse, lake->warehouse) ||
             is_inside(lake->warehouse, other->warehouse))) {
            complain(at->reading, name, 0,
                     "a warehouse of its own, as by {tenant} in lake.warehouse",
                     "%s: its lake %s is inside or around that of %s, %s", lake->tenant,
                     lake->warehouse, other->tenant, other->warehouse);
            return;
        }
        if (lake->catalog == WEIR_CATALOG_REST && other->catalog == WEIR_CATALOG_REST &&
            same_text(lake->rest.uri, other->rest.uri) &&
            same_text(lake->rest.warehouse, other->rest.warehouse) &&
            same_text(lake->rest.prefix, other->rest.prefix)) {
            complain(at->reading, name, 0,
                     "catalog: {rest: {warehouse: ...}}, or a prefix, of its own",
                     "%s: its tables have the same names in the same catalog as those of %s",
                     lake->tenant, other->tenant);
            return;
        }
    }
}

/* Files that are the whole truth: of those with the tenant's column a lake takes the rows of its
 * tenant and those that name none. */
static void bind_models(struct tenants_reading *at, struct weir_pipeline *lake, const char *value)
{
    struct reading *reading = at->reading;
    struct weir_model_config *models = take(reading, lake->model_count + 1, sizeof *models);
    struct weir_sink_config *sinks = take(reading, lake->sink_count + 1, sizeof *sinks);
    const char *quoted = "";
    if (!models || !sinks)
        return;
    for (const char *c = value; quoted && *c; c++)
        quoted = take_print(reading, "%s%s%c", quoted, *c == '\'' ? "'" : "", *c);
    memcpy(models, lake->models, lake->model_count * sizeof *models);
    memcpy(sinks, lake->sinks, lake->sink_count * sizeof *sinks);
    for (size_t i = 0; quoted && i < lake->model_count; i++) {
        const struct weir_model_config *old = &lake->models[i];
        const struct weir_field *field = weir_type_child(&old->table.columns, at->column,
                                                         strlen(at->column));
        if (old->files && field && field->type.id == WEIR_STRING)
            models[i].sql = take_print(reading, "%s WHERE \"%s\" = '%s' OR \"%s\" IS NULL",
                                       old->sql, at->column, quoted, at->column);
        for (size_t s = 0; s < lake->sink_count; s++)
            if (sinks[s].from == &old->table)
                sinks[s].from = &models[i].table;
    }
    lake->models = models;
    lake->sinks = sinks;
}

static void bind_tenancy(struct tenants_reading *at, struct weir_pipeline *lake, int self)
{
    struct weir_tenancy *tenancy = take(at->reading, 1, sizeof *tenancy);
    if (tenancy)
        *tenancy = (struct weir_tenancy){at->column, at->sorted, at->count, self};
    lake->tenancy = tenancy;
}

static void bind_one(struct tenants_reading *at, struct weir_pipeline *lake, const char *name)
{
    struct node *root = tenants_root(at->reading, at->root, at->tenants, name);
    int self = 0;
    *lake = *at->pipeline;
    lake->arena = (struct weir_arena){0};
    lake->lakes = NULL;
    lake->lake_count = 0;
    lake->is_part = true;
    lake->tenant = name;
    lake->tls = (struct weir_tls_config){0}; /* nothing of the operator's is the tenant's */
    lake->rest = (struct weir_catalog_rest_options){0};
    lake->catalog_path = lake->warehouse = NULL;
    lake->tree = (const struct weir_pipeline_node *)root;
    while (strcmp(at->sorted[self].name, name) != 0)
        self++;
    lake_bind(at->reading, lake, root);
    policies_bind(at->reading, lake, root);
    pipeline_digest(at->reading, lake);
    bind_models(at, lake, at->sorted[self].value);
    bind_tenancy(at, lake, self);
}

void tenants_bind(struct reading *reading, struct weir_pipeline *pipeline, struct node *root,
                  const struct node *tenants)
{
    const struct node *tenant = node_get(node_get(root, "lake"), "tenant");
    struct tenants_reading at = {.reading = reading,
                                 .pipeline = pipeline,
                                 .root = root,
                                 .tenants = tenants,
                                 .column = get_text(tenant, "from")};
    struct weir_pipeline *lakes = take(reading, tenants->count + 2, sizeof *lakes);
    if (!lakes || !at.column || !list_tenants(&at))
        return;
    check_columns(&at);
    bind_tenancy(&at, pipeline, -1);
    lakes[0] = *pipeline;
    lakes[0].arena = (struct weir_arena){0};
    lakes[0].is_part = true;
    /* its tables hold what is nobody's: there is nothing to promote, and nobody to tell */
    lakes[0].model_count = lakes[0].sink_count = 0;
    pipeline->lakes = lakes;
    pipeline->lake_count = 1;
    for (size_t i = 0; i < tenants->count && reading->status == WEIR_OK; i++) {
        const struct node *name = tenants->entries[i].key;
        if (is_operator(name) || complain_full(reading))
            continue;
        bind_one(&at, &lakes[pipeline->lake_count], name->text);
        check_place(&at, pipeline->lake_count++);
    }
}
