/* Loading and birth of tables, and what windows of offsets, of files and retries have in common
 * when they land. */
#include "scheduler/window/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_TOLD                                                                               \
    50 /* changes of a schema that a snapshot's summary tells; beyond: the receipt */

/* Two lakes of a pipeline may be one place by two names: then the table there is another's. */
static weir_status check_tenant(const struct weir_window_options *options,
                                const struct weir_metadata *metadata, struct weir_error *reterr)
{
    const char *tenant = weir_metadata_property(metadata, "weir.tenant");
    if (!options->pipeline->tenancy || !tenant || strcmp(tenant, options->pipeline->tenant) == 0)
        return WEIR_OK;
    weir_status status = weir_fail(
        reterr, WEIR_REFUSED, "table %s in %s is of tenant %s, not of %s", options->table->name,
        options->pipeline->warehouse, tenant, options->pipeline->tenant);
    weir_error_hint(reterr, "two lakes are one place: give each a warehouse of its own");
    return status;
}

weir_status table_refresh(const struct weir_window_options *options, struct table_state *table,
                          struct weir_error *reterr)
{
    json_decref(table->truth);
    table->truth = NULL;
    const struct weir_metadata *metadata = table->table->metadata;
    const char *format = weir_metadata_property(metadata, "weir.format");
    if (format && strcmp(format, "1") != 0) {
        weir_status status = weir_fail(reterr, WEIR_REFUSED,
                                       "table %s has weir.format %s; this program knows 1",
                                       options->table->name, format);
        weir_error_hint(reterr, "use the release of Weir that wrote it, or a newer one");
        return status;
    }
    WEIR_TRY(check_tenant(options, metadata, reterr));
    WEIR_TRY(weir_shape_make(&table->arena, options->table, metadata, &table->shape, reterr));
    struct weir_error error = {0};
    weir_status status = weir_truth(&options->lake->store, &options->lake->context->memory,
                                    metadata, "main", &table->truth, &error);
    if (status == WEIR_NOT_FOUND) {
        status = weir_fail(reterr, WEIR_REFUSED, "table %s is there, but Weir did not make it: %s",
                           options->table->name, error.text);
        weir_error_hint(reterr, "the table belongs to another writer; choose another name");
    } else if (status != WEIR_OK && reterr) {
        *reterr = error;
    }
    return status;
}

weir_status table_load(const struct weir_window_options *options, struct table_state *ret_table,
                       struct weir_error *reterr)
{
    struct table_state table = {0};
    struct weir_lake *lake = options->lake;
    weir_arena_init(&table.arena, &lake->context->memory);
    weir_status status = lake->catalog.operations->load(lake->catalog.self, options->table->name,
                                                        &table.table, reterr);
    if (status == WEIR_NOT_FOUND)
        status = weir_shape_make(&table.arena, options->table, NULL, &table.shape, reterr);
    else if (status == WEIR_OK)
        status = table_refresh(options, &table, reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "%s", options->table->name);
        table_done(&table);
        return status;
    }
    *ret_table = table;
    return WEIR_OK;
}

weir_status table_reload(const struct weir_window_options *options, struct table_state *table,
                         struct weir_error *reterr)
{
    struct weir_table *fresh;
    WEIR_TRY(options->lake->catalog.operations->load(options->lake->catalog.self,
                                                     options->table->name, &fresh, reterr));
    weir_table_free(table->table);
    table->table = fresh;
    return table_refresh(options, table, reterr);
}

/* Columns' classes that the table does not tell yet; NULL: none. */
static json_t *class_properties(const struct weir_table_config *config, const json_t *has)
{
    json_t *properties = json_object();
    for (size_t i = 0; i < config->column_config_count; i++) {
        const struct weir_column_config *column = &config->column_configs[i];
        char key[600];
        snprintf(key, sizeof key, "weir.class.%s", column->path);
        const char *was = json_string_value(json_object_get(has, key));
        if (strcmp(was ? was : "none", column->class_name) != 0)
            json_object_set_new(properties, key, json_string(column->class_name));
    }
    if (json_object_size(properties) > 0)
        return properties;
    json_decref(properties);
    return NULL;
}

static json_t *birth_properties(const struct weir_window_options *options)
{
    const struct weir_pipeline *pipeline = options->pipeline;
    json_t *properties = json_pack(
        "{s:s, s:s, s:s}", "weir.pipeline", pipeline->name ? pipeline->name : "", "weir.definition",
        options->table->digest ? options->table->digest : "", "write.format.default", "parquet");
    if (pipeline->tenancy)
        json_object_set_new(properties, "weir.tenant", json_string(pipeline->tenant));
    if (pipeline->owner)
        json_object_set_new(properties, "owner", json_string(pipeline->owner));
    for (size_t i = 0; i < pipeline->tag_count; i++) {
        char key[300];
        snprintf(key, sizeof key, "weir.tag.%s", pipeline->tags[i].key);
        json_object_set_new(properties, key, json_string(pipeline->tags[i].value));
    }
    json_t *classes = class_properties(options->table, NULL);
    json_object_update(properties, classes);
    json_decref(classes);
    return properties;
}

weir_status table_birth(const struct weir_window_options *options, struct table_state *table,
                        json_t *state, struct weir_error *reterr)
{
    json_t *properties = birth_properties(options),
           *order = weir_shape_sort_order(options->table, &table->shape);
    struct weir_birth birth = {.name = options->table->name,
                               .schema = &table->shape.schema,
                               .spec = table->shape.spec,
                               .sort_order = order,
                               .properties = properties,
                               .state = state};
    bool made;
    weir_status status = weir_table_create(options->lake, &birth, &table->table, &made, reterr);
    json_decref(properties);
    json_decref(order);
    return status == WEIR_OK ? table_refresh(options, table, reterr) : status;
}

void table_done(struct table_state *table)
{
    json_decref(table->truth);
    weir_table_free(table->table);
    weir_table_free(table->quarantine);
    weir_arena_done(&table->arena);
    *table = (struct table_state){0};
}

weir_status weir_quarantine_birth(struct weir_arena *arena, const struct weir_table_config *config,
                                  struct weir_birth *ret_birth, struct weir_error *reterr)
{
    char *name;
    struct weir_schema *schema;
    struct weir_partition_spec *spec;
    WEIR_TRY(weir_arena_print(arena, &name, reterr, "%s__quarantine", config->name));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *schema, &schema, reterr));
    WEIR_TRY(weir_arena_zero(arena, 1, sizeof *spec, &spec, reterr));
    WEIR_TRY(weir_quarantine_schema(arena, config->source->is_kafka, schema, reterr));
    *ret_birth = (struct weir_birth){.name = name, .schema = schema, .spec = spec};
    return WEIR_OK;
}

weir_status table_sync_quarantine(const struct weir_window_options *options,
                                  struct table_state *table, struct weir_error *reterr)
{
    struct weir_birth birth;
    WEIR_TRY(weir_quarantine_birth(&table->arena, options->table, &birth, reterr));
    birth.state = weir_state_new();
    weir_status status = weir_quarantine_sync(options->lake, table->table, WEIR_LETTERS, &birth,
                                              &table->quarantine, reterr);
    json_decref(birth.state);
    return status;
}

weir_status table_ingest(const struct weir_window_options *options, const struct table_state *table,
                         int64_t attempt, unsigned flags, struct weir_ingest *leader,
                         struct weir_ingest **ret_ingest, struct weir_error *reterr)
{
    struct weir_ingest_options ingest = {
        .lake = options->lake,
        .table = options->table,
        .shape = &table->shape,
        .attempt = attempt,
        .again = flags & INGEST_AGAIN,
        .grown = flags & INGEST_GROWN,
        .table_location = weir_metadata_location(table->table->metadata),
        .table_uuid = weir_metadata_uuid(table->table->metadata),
        .tenancy = options->pipeline->tenancy,
        .leader = leader};
    return weir_ingest_new(&ingest, ret_ingest, reterr);
}

weir_status table_grow(const struct weir_window_options *options, struct table_state *table,
                       struct weir_ingest *ingest, struct weir_error *reterr)
{
    struct weir_type found;
    WEIR_TRY(weir_ingest_fields(ingest, &table->arena, &found, reterr));
    return weir_shape_evolve(&table->arena, options->table, table->table->metadata, &found,
                             &table->shape, reterr);
}

weir_status table_check_share(const struct weir_window_options *options,
                              const struct weir_ingest_result *result, struct weir_error *reterr)
{
    const struct weir_table_config *config = options->table;
    const struct weir_tenancy *tenancy = options->pipeline->tenancy;
    int64_t total = result->counts.landed + result->counts.refused + result->counts.filtered;
    if (tenancy && tenancy->self >= 0) /* of its own; to the operator all are one stream */
        total -= result->counts.foreign;
    if (config->max_invalid_share <= 0 || total < config->max_invalid_of_at_least ||
        (double)result->counts.refused <= config->max_invalid_share * (double)total)
        return WEIR_OK;
    char *reasons = weir_json_text(result->reasons);
    weir_status status = weir_fail(reterr, WEIR_GATE,
                                   "%s: %lld of %lld records are bad (%s), more than max_invalid "
                                   "allows (%.3g%%); the window was not landed",
                                   config->name, (long long)result->counts.refused,
                                   (long long)total, reasons ? reasons : "",
                                   config->max_invalid_share * 100);
    free(reasons);
    weir_error_hint(
        reterr, "mend the columns or the sender; or raise max_invalid to let them into quarantine");
    return status;
}

/* Receipts name files with size and digest, not their bounds: bounds may be personal values. */
static json_t *named(const struct weir_data_file *files, char (*digests)[33], size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array,
                              json_pack("{s:s, s:I, s:I, s:s}", "path", files[i].path, "rows",
                                        (json_int_t)files[i].record_count, "size",
                                        (json_int_t)files[i].file_size, "digest", digests[i]));
    return array;
}

/* What this commit changes in the schema, into receipt and summary. */
static weir_status note_columns(struct landing *landing, struct weir_error *reterr)
{
    struct table_state *table = landing->table;
    json_t *changes;
    WEIR_TRY(
        weir_shape_changes(&table->arena, &table->shape, table->table->metadata, &changes, reterr));
    if (json_array_size(changes) && json_array_size(changes) <= COLUMNS_TOLD) {
        char *text = weir_json_text(changes);
        json_object_set_new(landing->summary, "weir.columns", json_string(text));
        free(text);
    }
    if (json_array_size(changes))
        json_object_set(landing->receipt, "columns", changes);
    json_decref(changes);
    return WEIR_OK;
}

weir_status landing_init(struct landing *landing, const struct weir_window_options *options,
                         struct table_state *table, const struct weir_ingest_result *result,
                         struct weir_error *reterr)
{
    char hash[33];
    weir_row_hash_print(&result->row_hash, hash);
    *landing = (struct landing){.options = options, .table = table, .result = result};
    landing->summary = json_object();
    landing->receipt = json_pack(
        "{s:I, s:s, s:o, s:o, s:I, s:I, s:I, s:O, s:s}", "rows", (json_int_t)result->counts.landed,
        "row_hash", hash, "files", named(result->files, result->file_digests, result->file_count),
        "letters", named(result->letters, result->letter_digests, result->letter_count), "refused",
        (json_int_t)result->counts.refused, "filtered",
        (json_int_t)(result->counts.filtered + result->counts.tombstones), "warnings",
        (json_int_t)result->warnings, "reasons", result->reasons, "version", "0.1.0");
    if (!landing->receipt || !landing->summary)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a receipt");
    if (options->pipeline->tenancy) /* which rule left out how many */
        json_object_set_new(
            landing->receipt, "filtered_by",
            json_pack("{s:I, s:I, s:I}", "tenant", (json_int_t)result->counts.foreign, "where",
                      (json_int_t)(result->counts.filtered - result->counts.foreign), "tombstones",
                      (json_int_t)result->counts.tombstones));
    landing->properties = class_properties(
        options->table,
        json_object_get(weir_metadata_document(table->table->metadata), "properties"));
    return note_columns(landing, reterr);
}

void landing_done(struct landing *landing)
{
    json_decref(landing->receipt);
    json_decref(landing->summary);
    json_decref(landing->letter_ranges);
    json_decref(landing->properties);
    landing->properties = NULL;
    landing->receipt = landing->summary = landing->letter_ranges = NULL;
    landing->letters_gone = NULL;
}

weir_status landing_letters(struct landing *landing, json_t *state, int64_t snapshot_id,
                            struct weir_error *reterr)
{
    const struct weir_ingest_result *result = landing->result;
    if (result->letter_count == 0 && !landing->letters_gone)
        return WEIR_OK;
    json_t *mine = json_array();
    for (size_t i = 0; i < result->letter_count; i++) {
        json_t *file = weir_data_file_to_json(&result->letters[i], result->letter_digests[i]),
               *ranges = json_is_array(landing->letter_ranges)
                             ? json_array_get(landing->letter_ranges, i)
                             : landing->letter_ranges;
        if (ranges)
            json_object_set(file, "ranges", ranges);
        json_array_append_new(mine, file);
    }
    weir_status status = weir_letters_change(
        landing->options->lake, weir_metadata_uuid(landing->table->table->metadata), snapshot_id,
        WEIR_LETTERS, landing->letters_gone, mine, state, reterr);
    json_decref(mine);
    return status;
}

json_t *outcome_new(const char *table)
{
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:[], s:{}, s:b}", "table", table,
                     "windows", 0, "landed", 0, "refused", 0, "filtered", 0, "gaps", 0, "bytes", 0,
                     "files", 0, "snapshots", "reasons", "idle", 1);
}

void outcome_add(json_t *outcome, const char *key, int64_t value)
{
    json_object_set_new(outcome, key,
                        json_integer(json_integer_value(json_object_get(outcome, key)) + value));
}

void outcome_result(json_t *outcome, const struct weir_ingest_result *result, int64_t snapshot_id)
{
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)snapshot_id);
    outcome_add(outcome, "windows", 1);
    outcome_add(outcome, "landed", result->counts.landed);
    outcome_add(outcome, "refused", result->counts.refused);
    outcome_add(outcome, "filtered", result->counts.filtered + result->counts.tombstones);
    if (result->counts.foreign)
        outcome_add(outcome, "foreign", result->counts.foreign);
    outcome_add(outcome, "files", (int64_t)result->file_count);
    json_array_append_new(json_object_get(outcome, "snapshots"), json_string(id));
    json_object_set_new(outcome, "idle", json_false());
    json_t *reasons = json_object_get(outcome, "reasons"), *count;
    const char *reason;
    json_object_foreach(result->reasons, reason, count)
        outcome_add(reasons, reason, json_integer_value(count));
}
