/* Tables of the pipeline file: names, columns, checks, layout, and the digest of what defines them.
 */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/limits.h"
#include "engine/base/text.h"
#include "formats/codec/codec.h"
#include "formats/iceberg/manifest.h"
#include "formats/json/json.h"

#include <string.h>
#include <xxhash.h>

/* ---- columns
 * --------------------------------------------------------------------------------------------------
 */

/* Iceberg spec, "Reserved Field IDs": the names of metadata columns. */
static bool name_is_reserved(const char *name)
{
    static const char *const names[] = {"_file",
                                        "_pos",
                                        "_deleted",
                                        "_spec_id",
                                        "_partition",
                                        "_row_id",
                                        "_change_type",
                                        "_change_ordinal",
                                        "_commit_snapshot_id",
                                        "_last_updated_sequence_number"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool column_name_check(struct table_reading *at, const struct node *key)
{
    const char *why = NULL;
    if (key->size == 0)
        why = "an empty name";
    else if (key->size > WEIR_NAME_SIZE_MAX)
        why = "a name of more than 255 bytes";
    else if (strcmp(key->text, "_kafka") == 0 || strcmp(key->text, "_source_file") == 0)
        why = "Weir's own column, see `metadata`";
    else if (name_is_reserved(key->text))
        why = "a name that Iceberg keeps for itself; Spark would not open the table";
    for (size_t i = 0; !why && i < key->size; i++)
        if ((unsigned char)key->text[i] < 0x20 || key->text[i] == 0x7f)
            why = "a name with a control character";
    if (why)
        complain(at->reading, key, 0, NULL, "%s.columns: %s is %s", at->shown,
                 node_quote(at->reading, key), why);
    return !why;
}

static bool parse_type(struct table_reading *at, const struct node *node, const char *column,
                       struct weir_field *field)
{
    struct reading *reading = at->reading;
    size_t position = 0;
    struct weir_error error = {0};
    weir_status status = weir_type_parse_column(reading->arena, node->text, &field->type,
                                                &field->required, &position, &error);
    if (status == WEIR_OK)
        return true;
    if (status != WEIR_USAGE) {
        reading->status = status;
        reading->error = error;
        return false;
    }
    const char *hint = error.hint;
    if (!*hint && node->style == STYLE_PLAIN && strstr(error.text, "there is the end") &&
        strchr(node->text, '<'))
        hint = "inside {...} a type that holds a comma must stand in quotes";
    complain(reading, node, position, hint, "%s.columns.%s: %s", at->shown, column,
             node->substituted ? "no type after ${...}" : error.text);
    return false;
}

static void column_unit(struct table_reading *at, const struct node *node,
                        const struct weir_field *field, struct weir_column_config *config)
{
    const struct node *unit = node_get(node, "unit");
    config->unit = unit ? unit->text : NULL;
    if (unit && field->type.id != WEIR_TIMESTAMP && field->type.id != WEIR_TIMESTAMPTZ &&
        field->type.id != WEIR_TIME)
        complain(at->reading, unit, 0, NULL,
                 "%s.columns.%s.unit: only timestamp, timestamptz and time have a unit, not %s",
                 at->shown, field->name, weir_type_name(field->type.id));
}

static bool bind_column(struct table_reading *at, const struct node *key, const struct node *value,
                        struct weir_field *field, struct weir_column_config *config)
{
    *field = (struct weir_field){.name = key->text};
    *config = (struct weir_column_config){.path = key->text,
                                          .class_name = "none",
                                          .bounds = true,
                                          .class_location = node_location(at->reading, key)};
    if (!column_name_check(at, key) || value->kind == NODE_NULL)
        return false;
    if (value->kind == NODE_SCALAR)
        return parse_type(at, value, key->text, field);
    const struct node *type = node_get(value, "type"), *class_node = node_get(value, "class");
    field->doc = get_text(value, "doc");
    if (!type || !parse_type(at, type, key->text, field))
        return false;
    field->required |= get_boolean(value, "required", false);
    config->class_name = class_node ? class_node->text : "none";
    config->class_given = class_node != NULL;
    if (class_node)
        config->class_location = node_location(at->reading, class_node);
    config->bounds_given = node_get(value, "bounds") != NULL;
    config->subject = get_text(value, "subject");
    config->aliases = get_texts(at->reading, value, "aliases", &config->alias_count);
    config->bounds = get_boolean(value, "bounds", strcmp(config->class_name, "personal") != 0);
    column_unit(at, value, field, config);
    return true;
}

static void bind_columns(struct table_reading *at, struct weir_pipeline *pipeline)
{
    struct reading *reading = at->reading;
    const struct node *columns = node_get(at->node, "columns"),
                      *schema = node_get(at->node, "schema"),
                      *registry = node_get(at->node, "registry");
    struct weir_table_config *table = at->table;
    table->columns.id = WEIR_STRUCT;
    if (columns && schema) {
        complain(reading, schema, 0, NULL, "%s: columns or schema, not both", at->shown);
        return;
    }
    if (registry && (columns || schema)) {
        complain(reading, registry, 0, NULL, "%s: registry, columns or schema, one of them",
                 at->shown);
        return;
    }
    if (registry) {
        registry_columns(reading, pipeline, registry, take_print(reading, "%s.registry", at->shown),
                         table);
        return;
    }
    if (schema) {
        const char *path = get_path(reading, schema->text);
        if (path && strncmp(path, "s3://", 5) == 0)
            complain(reading, schema, 0, NULL,
                     "%s.schema: a schema on s3:// is not in this version of Weir; copy it beside "
                     "this file",
                     at->shown);
        else if (path)
            avsc_read(reading, schema, path, table);
        return;
    }
    if (!columns)
        return;
    if (columns->count > WEIR_SCHEMA_FIELDS_MAX) {
        complain(reading, columns, 0, NULL, "%s.columns: more than %d columns", at->shown,
                 WEIR_SCHEMA_FIELDS_MAX);
        return;
    }
    struct weir_field *fields = take(reading, columns->count + 1, sizeof *fields);
    struct weir_column_config *configs = take(reading, columns->count + 1, sizeof *configs);
    for (size_t i = 0; fields && configs && i < columns->count; i++) {
        size_t count = table->columns.child_count;
        if (!bind_column(at, columns->entries[i].key, columns->entries[i].value, &fields[count],
                         &configs[count]))
            continue;
        table->columns.child_count++;
        table->column_config_count++;
    }
    table->columns.children = fields;
    table->column_configs = configs;
    if (columns->count == 0)
        complain(reading, columns, 0, NULL, "%s.columns: no columns", at->shown);
}

/* ---- paths that must exist
 * ------------------------------------------------------------------------------------ */

/* True when some column was refused: then a missing one may be that, and is not told again. */
static bool columns_incomplete(const struct table_reading *at)
{
    const struct node *columns = node_get(at->node, "columns");
    return at->table->columns.child_count == 0 ||
           (columns && columns->kind == NODE_MAP &&
            columns->count != at->table->columns.child_count);
}

const struct weir_field *column_by_path(struct table_reading *at, const struct node *node,
                                        size_t position, const char *path, const char *what)
{
    const struct weir_field *field = weir_type_by_path(&at->table->columns, path);
    if (field || columns_incomplete(at))
        return field;
    const char *known[256];
    size_t count = 0;
    for (uint32_t i = 0; i < at->table->columns.child_count && count < 256; i++)
        known[count++] = at->table->columns.children[i].name;
    complain(at->reading, node, position, suggest(at->reading, path, known, count),
             "%s.%s: no column '%.200s'", at->shown, what, path);
    return NULL;
}

static void bind_partitions(struct table_reading *at)
{
    struct reading *reading = at->reading;
    const struct node *list = node_get(at->node, "partition_by");
    at->table->partition_by = get_texts(reading, at->node, "partition_by",
                                        &at->table->partition_by_count);
    for (size_t i = 0; i < list_size(list) && reading->status == WEIR_OK; i++) {
        const struct node *node = list_item(list, i);
        char *transform, *path, *name;
        struct weir_error error = {0};
        struct weir_type result;
        if (node->kind != NODE_SCALAR)
            continue;
        if (weir_transform_parse(reading->arena, node->text, &transform, &path, &name, &error) !=
            WEIR_OK) {
            static const char *const known[] = {"years", "months", "days",
                                                "hours", "bucket", "truncate"};
            size_t word = strcspn(node->text, "( ");
            bool cut = node->style == STYLE_PLAIN &&
                       (strchr(node->text, '(') == NULL) != (strchr(node->text, ')') == NULL);
            bool named = false;
            for (size_t j = 0; j < 6; j++)
                named |= strlen(known[j]) == word && strncasecmp(known[j], node->text, word) == 0;
            const char *hint =
                cut ? "inside [...] a transform that holds a comma must stand in quotes"
                : node->text[word] == '(' && !named
                    ? suggest(reading,
                              take_print(reading, "%.*s", (int)(word < 60 ? word : 60), node->text),
                              known, 6)
                    : NULL;
            complain(reading, node, 0,
                     hint ? hint
                          : "column, years(c), months(c), days(c), hours(c), bucket(N, c), "
                            "truncate(W, c)",
                     "%s.partition_by: %s is no partition transform", at->shown,
                     node_quote(reading, node));
            continue;
        }
        const char *place = strstr(node->text, path);
        const struct weir_field *field = column_by_path(
            at, node, place ? (size_t)(place - node->text) : 0, path, "partition_by");
        if (field &&
            weir_transform_result_type(transform, &field->type, &result, &error) != WEIR_OK)
            complain(reading, node, 0, NULL, "%s.partition_by: %s does not go with type %s",
                     at->shown, node_quote(reading, node), weir_type_name(field->type.id));
        for (size_t j = 0; j < i; j++)
            if (node_is(list_item(list, j), node->text))
                complain(reading, node, 0, NULL, "%s.partition_by: %s is here twice", at->shown,
                         node_quote(reading, node));
    }
}

/* "column [asc|desc] [nulls first|nulls last]"; nulls come first when ascending, last when
 * descending, as in Spark. */
static bool parse_sort(struct reading *reading, const char *text, struct weir_sort_field *ret_field,
                       const char **ret_wrong)
{
    char *copy = take_text(reading, text, strlen(text)), *save = NULL;
    if (!copy)
        return false;
    struct weir_sort_field field = {.path = strtok_r(copy, " ", &save)};
    char *word = strtok_r(NULL, " ", &save);
    *ret_wrong = field.path ? NULL : "";
    if (word && (strcasecmp(word, "asc") == 0 || strcasecmp(word, "desc") == 0)) {
        field.descending = strcasecmp(word, "desc") == 0;
        word = strtok_r(NULL, " ", &save);
    }
    field.nulls_first = !field.descending;
    if (word && strcasecmp(word, "nulls") == 0) {
        char *where = strtok_r(NULL, " ", &save);
        if (where && (strcasecmp(where, "first") == 0 || strcasecmp(where, "last") == 0)) {
            field.nulls_first = strcasecmp(where, "first") == 0;
            word = strtok_r(NULL, " ", &save);
        }
    }
    if (word)
        *ret_wrong = word;
    *ret_field = field;
    return *ret_wrong == NULL;
}

static void bind_sort(struct table_reading *at)
{
    struct reading *reading = at->reading;
    const struct node *list = node_get(at->node, "sort_by");
    struct weir_sort_field *fields = take(reading, list_size(list) + 1, sizeof *fields);
    at->table->sort_by = fields;
    for (size_t i = 0; fields && i < list_size(list); i++) {
        const struct node *node = list_item(list, i);
        const char *wrong = NULL;
        struct weir_sort_field field;
        if (node->kind != NODE_SCALAR)
            continue;
        if (!parse_sort(reading, node->text, &field, &wrong)) {
            complain(reading, node, 0, "column [asc|desc] [nulls first|nulls last]",
                     "%s.sort_by: %s is no sort order", at->shown, node_quote(reading, node));
            continue;
        }
        const struct weir_field *column = column_by_path(at, node, 0, field.path, "sort_by");
        if (column && weir_type_is_nested(column->type.id))
            complain(reading, node, 0, NULL, "%s.sort_by: '%s' is a %s, and has no order",
                     at->shown, field.path, weir_type_name(column->type.id));
        fields[at->table->sort_count++] = field;
    }
}

static void bind_bloom(struct table_reading *at)
{
    const struct node *list = node_get(at->node, "bloom");
    at->table->bloom = get_texts(at->reading, at->node, "bloom", &at->table->bloom_count);
    for (size_t i = 0; i < list_size(list); i++) {
        const struct node *node = list_item(list, i);
        const struct weir_field *field = node->kind == NODE_SCALAR
                                             ? column_by_path(at, node, 0, node->text, "bloom")
                                             : NULL;
        if (field && (weir_type_is_nested(field->type.id) || field->type.id == WEIR_BOOLEAN))
            complain(at->reading, node, 0, NULL, "%s.bloom: a %s takes no bloom filter", at->shown,
                     weir_type_name(field->type.id));
    }
}

/* ---- expectations
 * --------------------------------------------------------------------------------------------- */

bool expression_check(struct table_reading *at, const struct node *node, const char *what)
{
    if (node->size <= WEIR_EXPRESSION_SIZE_MAX)
        return true;
    complain(at->reading, node, 0, NULL, "%s.%s: larger than %u bytes", at->shown, what,
             WEIR_EXPRESSION_SIZE_MAX);
    return false;
}

static enum weir_on_fail on_fail_of(const struct node *item)
{
    const struct node *node = node_get(item, "on_fail");
    return node_is(node, "fail")   ? WEIR_ON_FAIL_FAIL
           : node_is(node, "warn") ? WEIR_ON_FAIL_WARN
                                   : WEIR_ON_FAIL_QUARANTINE;
}

const char *quoted_column(struct reading *reading, const char *path)
{
    const char *text = "";
    char *copy = take_text(reading, path, strlen(path)), *save = NULL;
    for (char *part = copy ? strtok_r(copy, ".", &save) : NULL; part && text;
         part = strtok_r(NULL, ".", &save))
        text = take_print(reading, "%s%s\"%s\"", text, *text ? "." : "", part);
    return text ? text : "";
}

/* Kinds of expectations that need the whole table. */
static const struct node *expect_is_models(const struct node *item)
{
    static const char *const names[] = {"unique", "row_count", "accepted_values", "relationship",
                                        "freshness"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (node_get_key(item, names[i]))
            return node_get_key(item, names[i]);
    return NULL;
}

/* One item: `that`, or `not_null` with one expectation for each column. Returns how many were
 * added. */
static size_t bind_expectation(struct table_reading *at, const struct node *item, size_t index,
                               struct weir_expectation *out, size_t room)
{
    struct reading *reading = at->reading;
    const struct node *that = node_get(item, "that"), *columns = node_get(item, "not_null");
    if (item->kind == NODE_NULL)
        return 0;
    if (expect_is_models(item))
        complain(reading, expect_is_models(item), 0, NULL,
                 "%s.expect[%zu]: only models (sql: ...) have this check", at->shown, index);
    if (that && columns)
        complain(reading, columns, 0, NULL, "%s.expect[%zu]: that or not_null, not both", at->shown,
                 index);
    if (!that && !columns && !node_get_key(item, "that") && !node_get_key(item, "not_null") &&
        !expect_is_models(item))
        complain(reading, item, 0, NULL, "%s.expect[%zu]: expected that or not_null", at->shown,
                 index);
    if (that) {
        if (!expression_check(at, that, "expect"))
            return 0;
        const char *name = get_text(item, "name");
        *out = (struct weir_expectation){name ? name : that->text, that->text, on_fail_of(item),
                                         node_location(reading, that)};
        return 1;
    }
    size_t count = 0;
    for (size_t i = 0; i < list_size(columns) && count < room; i++) {
        const struct node *column = list_item(columns, i);
        if (column->kind != NODE_SCALAR ||
            !column_by_path(at, column, 0, column->text, "expect.not_null"))
            continue;
        const char *name = get_text(item, "name");
        out[count++] = (struct weir_expectation){
            name ? name : take_print(reading, "not_null(%s)", column->text),
            take_print(reading, "%s is not null", quoted_column(reading, column->text)),
            on_fail_of(item), node_location(reading, column)};
    }
    return count;
}

static void bind_expectations(struct table_reading *at)
{
    const struct node *list = node_get(at->node, "expect");
    size_t room = 0;
    for (size_t i = 0; i < list_size(list); i++)
        room += 1 + list_size(node_get(list_item(list, i), "not_null"));
    struct weir_expectation *expectations = take(at->reading, room + 1, sizeof *expectations);
    at->table->expectations = expectations;
    for (size_t i = 0; expectations && i < list_size(list); i++)
        at->table->expectation_count += bind_expectation(
            at, list_item(list, i), i, expectations + at->table->expectation_count,
            room - at->table->expectation_count);
}

/* ---- digest
 * ---------------------------------------------------------------------------------------------------
 */

weir_status canonical_text(struct weir_buffer *out, const char *tag, const char *text,
                           struct weir_error *reterr)
{
    return weir_buffer_print(out, reterr, "%s %zu:%s\n", tag, text ? strlen(text) : 0,
                             text ? text : "");
}

/* What defines the table, in one fixed form: not comments, docs, places, order of keys, nor how
 * files are laid out. */
weir_status table_canonical(const struct weir_table_config *table, struct weir_buffer *out,
                            struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_print(out, reterr, "weir.table 1\n"));
    WEIR_TRY(canonical_text(out, "name", table->name, reterr));
    const struct weir_source_config *source = table->source;
    if (source) {
        WEIR_TRY(canonical_text(out, "source", source->is_kafka ? "kafka" : source->files, reterr));
        for (size_t i = 0; i < source->topic_count; i++)
            WEIR_TRY(canonical_text(out, "topic", source->topics[i], reterr));
        WEIR_TRY(canonical_text(out, "format", source->format, reterr));
        if (strcmp(source->format, "csv") == 0) {
            WEIR_TRY(weir_buffer_print(out, reterr, "csv %d %d %d %d\n", source->csv.delimiter,
                                       source->csv.quote, source->csv.header, source->csv.latin1));
            WEIR_TRY(canonical_text(out, "null", source->csv.null_text, reterr));
        }
        WEIR_TRY(weir_buffer_print(out, reterr, "headers %d\n", source->headers));
    }
    WEIR_TRY(canonical_text(out, "where", table->where, reterr));
    WEIR_TRY(weir_buffer_print(out, reterr, "columns "));
    WEIR_TRY(weir_type_print(&table->columns, out, reterr));
    WEIR_TRY(weir_buffer_print(out, reterr, "\n"));
    for (size_t i = 0; i < table->column_config_count; i++) {
        const struct weir_column_config *column = &table->column_configs[i];
        WEIR_TRY(canonical_text(out, "column", column->path, reterr));
        WEIR_TRY(canonical_text(out, " class", column->class_name, reterr));
        WEIR_TRY(canonical_text(out, " subject", column->subject, reterr));
        WEIR_TRY(canonical_text(out, " unit", column->unit, reterr));
        for (size_t n = 0; n < column->alias_count; n++)
            WEIR_TRY(canonical_text(out, " alias", column->aliases[n], reterr));
    }
    for (size_t i = 0; i < table->expectation_count; i++) {
        WEIR_TRY(canonical_text(out, "expect", table->expectations[i].that, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, " on_fail %d\n", table->expectations[i].on_fail));
    }
    WEIR_TRY(weir_buffer_print(
        out, reterr, "on_invalid %d\nunknown_fields %d\nmetadata %d\ntombstones_skip %d\n",
        table->on_invalid, table->unknown_fields, table->metadata, table->tombstones_skip));
    for (size_t i = 0; i < table->partition_by_count; i++)
        WEIR_TRY(canonical_text(out, "partition", table->partition_by[i], reterr));
    for (size_t i = 0; i < table->sort_count; i++) {
        WEIR_TRY(canonical_text(out, "sort", table->sort_by[i].path, reterr));
        WEIR_TRY(weir_buffer_print(out, reterr, " %d %d\n", table->sort_by[i].descending,
                                   table->sort_by[i].nulls_first));
    }
    return WEIR_OK;
}

void bind_digest_of(struct table_reading *at, const struct weir_buffer *text)
{
    char hex[33];
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(text->data, text->size));
    weir_print_hex(hex, digest.digest, sizeof digest.digest);
    at->table->digest = take_text(at->reading, hex, 32);
}

static void bind_digest(struct table_reading *at)
{
    WEIR_AUTO(weir_buffer) text = {.account = at->reading->arena->account};
    if (!at->table->source || at->reading->status != WEIR_OK)
        return;
    at->reading->status = table_canonical(at->table, &text, &at->reading->error);
    if (at->reading->status == WEIR_OK)
        bind_digest_of(at, &text);
}

/* ---- the table
 * ------------------------------------------------------------------------------------------------
 */

static bool table_name_split(struct table_reading *at, const struct node *key)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    struct weir_table_config *table = at->table;
    size_t layer = strspn(key->text, letters),
           rest = key->text[layer] == '.' ? strspn(key->text + layer + 1, letters) : 0;
    const char *hint = "layer.table, each of a-z A-Z 0-9 _";
    bool good = layer > 0 && rest > 0 && layer + 1 + rest == key->size &&
                key->size <= WEIR_NAME_SIZE_MAX && key->text[0] != '_';
    if (good && rest > 12 && strcmp(key->text + key->size - 12, "__quarantine") == 0) {
        good = false;
        hint = "names that end in __quarantine are Weir's own";
    }
    if (good && rest > 6 && strcmp(key->text + key->size - 6, "__late") == 0) {
        good = false;
        hint = "names that end in __late are Weir's own";
    }
    if (!good) {
        complain(at->reading, key, 0, hint, "tables: %s is no name of a table",
                 node_quote(at->reading, key));
        return false;
    }
    table->layer = take_text(at->reading, key->text, layer);
    table->short_name = key->text + layer + 1;
    return table->layer != NULL;
}

static void bind_table_source(struct table_reading *at, const struct weir_pipeline *pipeline)
{
    const struct node *node = node_get(at->node, "source");
    const char *known[64];
    size_t count = 0;
    if (!node)
        return;
    for (size_t i = 0; i < pipeline->source_count; i++) {
        if (strcmp(pipeline->sources[i].name, node->text) == 0)
            at->table->source = &pipeline->sources[i];
        if (count < 64)
            known[count++] = pipeline->sources[i].name;
    }
    if (!at->table->source && !node->substituted)
        complain(at->reading, node, 0, suggest(at->reading, node->text, known, count),
                 "%s.source: no source %s", at->shown, node_quote(at->reading, node));
    else if (!at->table->source)
        complain(at->reading, node, 0, NULL, "%s.source: no source of that name", at->shown);
}

static void bind_rules(struct table_reading *at)
{
    struct weir_table_config *table = at->table;
    const struct node *where = node_get(at->node, "where"),
                      *limit = node_get(at->node, "max_invalid");
    const char *codec = get_text(at->node, "codec"), *share = get_text(limit, "share");
    if (where && expression_check(at, where, "where")) {
        table->where = where->text;
        table->where_location = node_location(at->reading, where);
    }
    table->on_invalid = node_is(node_get(at->node, "on_invalid"), "fail") ? WEIR_INVALID_FAIL
                                                                          : WEIR_INVALID_QUARANTINE;
    if (share && parse_percent(share, strlen(share), &table->max_invalid_share))
        table->max_invalid_of_at_least = get_whole(limit, "of_at_least", 1000);
    const struct node *unknown = node_get(at->node, "unknown_fields");
    table->unknown_fields = node_is(unknown, "quarantine") ? WEIR_UNKNOWN_QUARANTINE
                            : node_is(unknown, "evolve")   ? WEIR_UNKNOWN_EVOLVE
                                                           : WEIR_UNKNOWN_IGNORE;
    table->codec = WEIR_CODEC_LZ4_RAW;
    if (codec)
        (void)parse_codec(codec, &table->codec, &table->codec_level);
    table->file_size = get_size(at->node, "file_size", 128ull << 20);
    table->row_group_size = get_size(at->node, "row_group", 64ull << 20);
    table->metadata = get_boolean(at->node, "metadata", true);
    table->tombstones_skip = node_is(node_get(at->node, "tombstones"), "skip");
}

/* Keys that only models have. */
static void refuse_model_keys(struct table_reading *at)
{
    static const char *const names[] = {"unique_key",  "order_by",  "delete_when",
                                        "group_by",    "driven_by", "on_change",
                                        "description", "promote",   "reprocess"};
    const struct node *mode = node_get(at->node, "mode");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (node_get_key(at->node, names[i]))
            complain(at->reading, node_get_key(at->node, names[i]), 0, NULL,
                     "%s.%s: only models (sql: ...) have it", at->shown, names[i]);
    if (mode && !node_is(mode, "append"))
        complain(at->reading, mode, 0,
                 "a source is appended; `full` goes with a source of files, the others with `sql`",
                 "%s.mode: %s does not go with this source", at->shown,
                 node_quote(at->reading, mode));
}

static void bind_table(struct table_reading *at, struct weir_pipeline *pipeline,
                       const struct node *key, struct weir_model_config *model)
{
    at->table->name = key->text;
    at->table->location = node_location(at->reading, key);
    at->table->metadata = true;
    table_name_split(at, key);
    if (at->node->kind != NODE_MAP)
        return;
    if (!model && !node_get_key(at->node, "registry") && !node_get_key(at->node, "columns") &&
        !node_get_key(at->node, "schema"))
        complain(at->reading, key, 0, "columns: {name: type}, or schema: file.avsc",
                 "%s: columns are missing", at->shown);
    if (!node_get_key(at->node, "source") && !node_get_key(at->node, "sql"))
        complain(at->reading, key, 0, "source: NAME, an entry of `sources`; or sql: models/x.sql",
                 "%s: source is missing", at->shown);
    bind_table_source(at, pipeline);
    bind_columns(at, pipeline);
    bind_rules(at);
    bind_partitions(at);
    bind_sort(at);
    bind_bloom(at);
    if (model && at->table->source && strcmp(at->table->source->format, "avro") == 0)
        complain(at->reading, node_get(at->node, "source"), 0, "json, csv or parquet",
                 "%s.source: Avro files are not read by `mode: full`", at->shown);
    if (model) {
        model_bind(at, model, at->table->source);
        return;
    }
    refuse_model_keys(at);
    bind_expectations(at);
    bind_digest(at);
}

/* A model: `sql`, or files that are the whole truth. */
static bool is_model(const struct node *table, const struct weir_pipeline *pipeline)
{
    const char *source = get_text(table, "source");
    if (table->kind != NODE_MAP)
        return false;
    if (node_get_key(table, "sql"))
        return true;
    for (size_t i = 0; source && i < pipeline->source_count; i++)
        if (strcmp(pipeline->sources[i].name, source) == 0)
            return !pipeline->sources[i].is_kafka && node_is(node_get(table, "mode"), "full");
    return false;
}

void tables_bind(struct reading *reading, struct weir_pipeline *pipeline, const struct node *tables,
                 const struct node *lifecycle)
{
    size_t count = tables ? tables->count : 0;
    struct weir_table_config *bound = take(reading, count + 1, sizeof *bound);
    struct weir_model_config *models = take(reading, count + 1, sizeof *models);
    pipeline->tables = bound;
    pipeline->models = models;
    for (size_t i = 0; bound && models && i < count && !complain_full(reading); i++) {
        const struct node *key = tables->entries[i].key;
        bool model = is_model(tables->entries[i].value, pipeline);
        struct table_reading at = {
            reading, model ? &models[pipeline->model_count].table : &bound[pipeline->table_count],
            tables->entries[i].value, take_print(reading, "tables.%s", key->text)};
        if (!at.shown)
            return;
        bind_table(&at, pipeline, key, model ? &models[pipeline->model_count] : NULL);
        lifecycle_bind(reading, lifecycle, pipeline->deadline_ms, at.table);
        if (model)
            when_bind(&at, &models[pipeline->model_count++], lifecycle);
        else
            pipeline->table_count++;
    }
    lifecycle_check(reading, pipeline, lifecycle);
    if (tables && count == 0)
        complain(reading, tables, 0, NULL, "tables: no tables");
}
