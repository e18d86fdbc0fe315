/* The changes of one step as SQL: rows that only the newer snapshot has came, rows that only the
 * older one has went, and the key tells which of them are the same row's. `where` and `columns`
 * count before the comparison: a row that comes to hold the condition is an insert, and a change of
 * columns that are not sent is none. */
#include "engine/base/text.h"
#include "scheduler/query/iceberg_scan.h"
#include "scheduler/sink/sink_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

struct texts {
    struct weir_arena *arena;
    const struct weir_sink_config *config;
    const struct weir_type *table; /* the table's columns */
    const char *columns;           /* "a", "b" */
    const char *row;               /* to_json({'a': "a", 'b': "b"}) */
    const char *keys;              /* "a" AS weir_k0, "b"."c" AS weir_k1 */
    const char *key_names;         /* weir_k0, weir_k1 */
    const char *key;               /* to_json({'a': weir_k0, 'c': weir_k1}) */
    const char *key_text;
    const char *dropped; /* condition: a row that retention dropped on the way; NULL: none is */
};

/* Where a record came from names it, when nothing else does. */
static const char *const kafka_place[] = {"_kafka.topic", "_kafka.partition", "_kafka.offset"};
static const char *const file_place[] = {"_source_file.path", "_source_file.row"};

static const char *const *keys_of(const struct weir_sink_config *config, size_t *ret_count)
{
    if (config->key_count || !config->from->source) {
        *ret_count = config->key_count;
        return config->keys;
    }
    *ret_count = config->from->source->is_kafka ? 3 : 2;
    return config->from->source->is_kafka ? kafka_place : file_place;
}

/* The text between quotes, those in it doubled. */
static weir_status quote(struct weir_arena *arena, const char *text, size_t size, char with,
                         const char **ret_text, struct weir_error *reterr)
{
    char *quoted;
    size_t used = 0;
    WEIR_TRY(weir_arena_zero(arena, 2 * size + 3, 1, &quoted, reterr));
    quoted[used++] = with;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == with)
            quoted[used++] = with;
        quoted[used++] = text[i];
    }
    quoted[used] = with;
    *ret_text = quoted;
    return WEIR_OK;
}

static weir_status append(struct weir_arena *arena, const char **text, const char *between,
                          const char *more, struct weir_error *reterr)
{
    char *longer;
    WEIR_TRY(
        weir_arena_print(arena, &longer, reterr, "%s%s%s", *text, **text ? between : "", more));
    *text = longer;
    return WEIR_OK;
}

static weir_status add_column(struct texts *texts, const char *name, struct weir_error *reterr)
{
    const char *column, *label;
    char *member;
    WEIR_TRY(quote(texts->arena, name, strlen(name), '"', &column, reterr));
    WEIR_TRY(quote(texts->arena, name, strlen(name), '\'', &label, reterr));
    WEIR_TRY(append(texts->arena, &texts->columns, ", ", column, reterr));
    WEIR_TRY(weir_arena_print(texts->arena, &member, reterr, "%s: %s", label, column));
    return append(texts->arena, &texts->row, ", ", member, reterr);
}

static bool is_listed(const char *const *names, size_t count, const char *name, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0)
            return true;
    return false;
}

/* The columns as given, behind those of the key; or all. */
static weir_status make_columns(struct texts *texts, struct weir_error *reterr)
{
    const struct weir_sink_config *config = texts->config;
    size_t key_count;
    const char *const *keys = keys_of(config, &key_count);
    const char *tops[64];
    size_t top_count = 0;
    for (uint32_t i = 0; config->column_count == 0 && i < texts->table->child_count; i++)
        WEIR_TRY(add_column(texts, texts->table->children[i].name, reterr));
    for (size_t i = 0; config->column_count && i < key_count && top_count < 64; i++) {
        size_t size = strcspn(keys[i], ".");
        char *top;
        if (is_listed(tops, top_count, keys[i], size) ||
            is_listed(config->columns, config->column_count, keys[i], size))
            continue;
        WEIR_TRY(weir_arena_copy(texts->arena, keys[i], size, &top, reterr));
        tops[top_count++] = top;
        WEIR_TRY(add_column(texts, top, reterr));
    }
    for (size_t i = 0; i < config->column_count; i++)
        WEIR_TRY(add_column(texts, config->columns[i], reterr));
    return WEIR_OK;
}

/* "a"."b" of a dotted path, and its last part. */
static weir_status key_column(struct texts *texts, const char *path, const char **ret_column,
                              const char **ret_label, struct weir_error *reterr)
{
    const char *column = "", *part;
    for (const char *at = path;; at += strcspn(at, ".") + 1) {
        size_t size = strcspn(at, ".");
        WEIR_TRY(quote(texts->arena, at, size, '"', &part, reterr));
        WEIR_TRY(append(texts->arena, &column, ".", part, reterr));
        WEIR_TRY(quote(texts->arena, at, size, '\'', ret_label, reterr));
        if (at[size] == '\0')
            break;
    }
    *ret_column = column;
    return WEIR_OK;
}

/* The key as one text: values with '|' between, so '\' and '|' in them stand behind a '\'. */
static weir_status make_keys(struct texts *texts, struct weir_error *reterr)
{
    size_t count;
    const char *const *keys = keys_of(texts->config, &count), *column, *label;
    char *text;
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(key_column(texts, keys[i], &column, &label, reterr));
        WEIR_TRY(weir_arena_print(texts->arena, &text, reterr, "%s AS weir_k%zu", column, i));
        WEIR_TRY(append(texts->arena, &texts->keys, ", ", text, reterr));
        WEIR_TRY(weir_arena_print(texts->arena, &text, reterr, "weir_k%zu", i));
        WEIR_TRY(append(texts->arena, &texts->key_names, ", ", text, reterr));
        WEIR_TRY(weir_arena_print(texts->arena, &text, reterr, "%s: weir_k%zu", label, i));
        WEIR_TRY(append(texts->arena, &texts->key, ", ", text, reterr));
        WEIR_TRY(weir_arena_print(
            texts->arena, &text, reterr,
            count == 1 ? "coalesce(weir_k%zu::text, '\\N')"
                       : "coalesce(replace(replace(weir_k%zu::text, '\\', '\\\\'), '|', '\\|'), "
                         "'\\N')",
            i));
        WEIR_TRY(append(texts->arena, &texts->key_text, " || '|' || ", text, reterr));
    }
    WEIR_TRY(weir_arena_print(texts->arena, &text, reterr, "to_json({%s})", texts->key));
    texts->key = text;
    return WEIR_OK;
}

static weir_status texts_make(struct weir_arena *arena, const struct weir_sink_config *config,
                              const struct weir_type *table, struct texts *ret_texts,
                              struct weir_error *reterr)
{
    struct texts texts = {arena, config, table, "", "", "", "", "", "", NULL};
    char *text;
    WEIR_TRY(make_columns(&texts, reterr));
    WEIR_TRY(make_keys(&texts, reterr));
    WEIR_TRY(weir_arena_print(arena, &text, reterr, "to_json({%s})", texts.row));
    texts.row = text;
    *ret_texts = texts;
    return WEIR_OK;
}

/* ---- binding ---- */

static weir_status located(const char *location, const char *sink, const char *what,
                           weir_status status, struct weir_error *reterr)
{
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "%s: sink %s: %s", location ? location : "", sink, what);
    return status;
}

static weir_status check_keys(const struct weir_sink_config *config, const struct weir_type *row,
                              struct weir_error *reterr)
{
    for (uint32_t i = 0; i < row->child_count; i++) {
        enum weir_type_id id = row->children[i].type.id;
        if (id == WEIR_STRUCT || id == WEIR_LIST || id == WEIR_MAP)
            return weir_fail(reterr, WEIR_USAGE, "%s: sink %s: the key's column %zu is a %s",
                             config->location, config->name, (size_t)i + 1, weir_type_name(id));
    }
    return WEIR_OK;
}

weir_status weir_sink_bind(const struct weir_sink_config *sink, struct weir_query_session *session,
                           struct weir_arena *arena, struct weir_type *ret_row,
                           struct weir_error *reterr)
{
    struct weir_operator *root;
    struct texts texts;
    const char *layer, *name;
    char *table, *text;
    WEIR_TRY(quote(arena, sink->from->layer, strlen(sink->from->layer), '"', &layer, reterr));
    WEIR_TRY(
        quote(arena, sink->from->short_name, strlen(sink->from->short_name), '"', &name, reterr));
    WEIR_TRY(weir_arena_print(arena, &table, reterr, "%s.%s", layer, name));
    WEIR_TRY(weir_arena_print(arena, &text, reterr, "SELECT * FROM %s", table));
    WEIR_TRY(weir_query_plan(session, arena, text, &root, NULL, reterr));
    WEIR_TRY(texts_make(arena, sink, &root->type, &texts, reterr));
    WEIR_TRY(weir_arena_print(arena, &text, reterr, "SELECT %s FROM %s", texts.columns, table));
    WEIR_TRY(located(sink->location, sink->name, "columns",
                     weir_query_plan(session, arena, text, &root, NULL, reterr), reterr));
    if (ret_row)
        *ret_row = root->type;
    WEIR_TRY(weir_arena_print(arena, &text, reterr, "SELECT %s FROM %s", texts.keys, table));
    WEIR_TRY(located(sink->location, sink->name, "key",
                     weir_query_plan(session, arena, text, &root, NULL, reterr), reterr));
    WEIR_TRY(check_keys(sink, &root->type, reterr));
    if (!sink->where)
        return WEIR_OK;
    WEIR_TRY(
        weir_arena_print(arena, &text, reterr, "SELECT 1 FROM %s WHERE (%s)", table, sink->where));
    return located(sink->where_location, sink->name, "where",
                   weir_query_plan(session, arena, text, &root, NULL, reterr), reterr);
}

/* ---- one step ---- */

static weir_status rows_of(const struct texts *texts, const char *these, const char *those,
                           char **ret_text, struct weir_error *reterr)
{
    const char *where = texts->config->where;
    char *one, *other;
    WEIR_TRY(weir_arena_print(texts->arena, &one, reterr, "SELECT %s FROM %s%s%s%s", texts->columns,
                              these, where ? " WHERE (" : "", where ? where : "",
                              where ? ")" : ""));
    *ret_text = one;
    if (!those)
        return WEIR_OK;
    WEIR_TRY(weir_arena_print(texts->arena, &other, reterr, "SELECT %s FROM %s%s%s%s",
                              texts->columns, those, where ? " WHERE (" : "", where ? where : "",
                              where ? ")" : ""));
    return weir_arena_print(texts->arena, ret_text, reterr, "%s EXCEPT ALL %s", one, other);
}

/* Rows that went, but for those that retention dropped. */
static weir_status rows_gone(const struct texts *texts, const char *rows, char **ret_text,
                             struct weir_error *reterr)
{
    if (!texts->dropped)
        return weir_arena_print(texts->arena, ret_text, reterr, "%s", rows);
    return weir_arena_print(texts->arena, ret_text, reterr,
                            "(SELECT * FROM %s weir_s WHERE (%s) IS NOT TRUE) weir_t", rows,
                            texts->dropped);
}

/* Kind (0, 1, 2), key as text, key, row; ordered by the key, then by what tells rows apart. */
static weir_status step_text(const struct texts *texts, bool added, bool removed, char **ret_text,
                             struct weir_error *reterr)
{
    const bool *sends = texts->config->sends;
    char *came, *went, *all, *gone;
    WEIR_TRY(rows_gone(texts, "weir.removed", &gone, reterr));
    WEIR_TRY(rows_of(texts, "weir.added", removed ? "weir.removed" : NULL, &came, reterr));
    WEIR_TRY(rows_of(texts, gone, added ? "weir.added" : NULL, &went, reterr));
    if (!removed)
        WEIR_TRY(weir_arena_print(texts->arena, &all, reterr,
                                  "SELECT 0 AS weir_kind, %s, %s FROM (%s) c", texts->columns,
                                  texts->keys, came));
    else if (!added)
        WEIR_TRY(weir_arena_print(texts->arena, &all, reterr,
                                  "SELECT 2 AS weir_kind, %s, %s FROM (%s) w", texts->columns,
                                  texts->keys, went));
    else
        WEIR_TRY(weir_arena_print(
            texts->arena, &all, reterr,
            "SELECT *, CASE WHEN weir_came = 0 THEN 2 WHEN weir_least = 1 THEN 0 ELSE 1 END AS "
            "weir_kind FROM (SELECT *, min(weir_came) OVER (PARTITION BY %s) AS weir_least, "
            "max(weir_came) OVER (PARTITION BY %s) AS weir_most FROM (SELECT 1 AS weir_came, %s, "
            "%s "
            "FROM (%s) c UNION ALL SELECT 0, %s, %s FROM (%s) w) b) p WHERE weir_came = 1 OR "
            "weir_most = 0",
            texts->key_names, texts->key_names, texts->columns, texts->keys, came, texts->columns,
            texts->keys, went));
    return weir_arena_print(texts->arena, ret_text, reterr,
                            "SELECT weir_kind, %s, %s, %s AS weir_row FROM (%s) r WHERE weir_kind "
                            "IN (%s, %s, %s) ORDER BY %s, weir_kind, weir_row",
                            texts->key_text, texts->key, texts->row, all, sends[0] ? "0" : "-1",
                            sends[1] ? "1" : "-1", sends[2] ? "2" : "-1", texts->key_names);
}

weir_status weir_sink_changes_sql(const struct weir_sink_config *sink,
                                  const struct weir_type *table, struct weir_arena *arena,
                                  char **ret_text, struct weir_error *reterr)
{
    struct texts texts;
    WEIR_TRY(texts_make(arena, sink, table, &texts, reterr));
    return step_text(&texts, true, true, ret_text, reterr);
}

struct paths {
    const char **paths; /* sorted */
    size_t count;
};

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool has_path(void *self, const char *location)
{
    const struct paths *set = self;
    return bsearch(&location, set->paths, set->count, sizeof *set->paths, by_text) != NULL;
}

static weir_status open_rows(struct delivery *delivery, struct weir_arena *arena,
                             int64_t snapshot_id, const struct weir_manifest_entry *entries,
                             size_t count, int64_t rows, bool whole, struct paths *paths,
                             struct weir_table_source *ret_rows, struct weir_error *reterr)
{
    struct weir_context *context = delivery->lake->context;
    struct weir_iceberg_options options = {.metadata_location = delivery->table->metadata_location,
                                           .store = delivery->lake->store,
                                           .has_snapshot_id = true,
                                           .snapshot_id = snapshot_id,
                                           .current_schema = true};
    if (!whole) {
        WEIR_TRY(weir_arena_zero(arena, count + 1, sizeof *paths->paths, &paths->paths, reterr));
        for (size_t i = 0; i < count; i++)
            paths->paths[i] = entries[i].file.path;
        paths->count = count;
        qsort(paths->paths, count, sizeof *paths->paths, by_text);
        options.wants = has_path;
        options.wants_self = paths;
        options.wanted_rows = (uint64_t)rows;
    }
    return weir_iceberg_source_open(context, &context->memory, &options, ret_rows, reterr);
}

static struct weir_bytes text_at(const struct weir_vector *vector, uint32_t row)
{
    if (vector->kind == WEIR_DICTIONARY) {
        row = vector->indices[row];
        vector = vector->dictionary;
    } else if (vector->kind == WEIR_CONSTANT) {
        row = 0;
    }
    const int32_t *offsets = vector->offsets;
    return (struct weir_bytes){(const uint8_t *)vector->values + offsets[row],
                               (size_t)(offsets[row + 1] - offsets[row])};
}

static int32_t whole_at(const struct weir_vector *vector, uint32_t row)
{
    if (vector->kind == WEIR_DICTIONARY)
        return ((const int32_t *)vector->dictionary->values)[vector->indices[row]];
    return ((const int32_t *)vector->values)[vector->kind == WEIR_CONSTANT ? 0 : row];
}

static weir_status begin(void *self, const struct weir_type *type, struct weir_error *reterr)
{
    (void)self;
    return type->child_count == 4 && type->children[0].type.id == WEIR_INT
               ? WEIR_OK
               : weir_fail(reterr, WEIR_INTERNAL, "changes have the wrong columns");
}

static weir_status take_batch(void *self, const struct weir_batch *batch, struct weir_error *reterr)
{
    for (uint32_t row = 0; row < batch->count; row++) {
        struct change change = {.kind = (enum weir_change_kind)whole_at(&batch->columns[0], row),
                                .key = text_at(&batch->columns[1], row),
                                .key_json = text_at(&batch->columns[2], row),
                                .row = text_at(&batch->columns[3], row)};
        WEIR_TRY(deliver_add(self, &change, reterr));
    }
    return WEIR_OK;
}

/* Of a step over commits that are gone: retention may have been among them. Rows from before the
 * horizon that the newer end has went by it. */
static weir_status find_dropped(const struct delivery *delivery, struct weir_arena *arena,
                                const char **ret_condition, struct weir_error *reterr)
{
    const struct weir_metadata *metadata = delivery->table->metadata;
    struct weir_snapshot snapshot;
    const char *text = NULL, *column, *before, *quoted;
    int64_t at = delivery->step.to, time;
    char *condition;
    *ret_condition = NULL;
    if (!delivery->step.leap || delivery->config->tells_retention)
        return WEIR_OK;
    for (; !text && weir_metadata_snapshot(metadata, at, &snapshot); at = snapshot.parent_id)
        text = json_string_value(json_object_get(snapshot.summary, "weir.horizon"));
    json_t *horizon = text ? json_loads(text, 0, NULL) : NULL;
    column = json_string_value(json_object_get(horizon, "column"));
    before = json_string_value(json_object_get(horizon, "before"));
    weir_status status = WEIR_OK;
    if (column && before && weir_text_timestamptz(before, strlen(before), &time) &&
        weir_type_child(&weir_metadata_schema(metadata)->root, column, strlen(column))) {
        status = quote(arena, column, strlen(column), '"', &quoted, reterr);
        if (status == WEIR_OK)
            status = weir_arena_print(arena, &condition, reterr,
                                      "CAST(%s AS timestamptz) < TIMESTAMPTZ '%s'", quoted, before);
        if (status == WEIR_OK)
            *ret_condition = condition;
    }
    json_decref(horizon);
    return status;
}

static weir_status run_step(struct delivery *delivery, struct weir_arena *arena,
                            const struct weir_table_source *added,
                            const struct weir_table_source *removed, struct weir_error *reterr)
{
    struct weir_query_name names[2];
    struct weir_operator *root;
    struct texts texts;
    size_t count = 0;
    char *text;
    if (added->operations)
        names[count++] = (struct weir_query_name){.name = "weir.added", .source = added};
    if (removed->operations)
        names[count++] = (struct weir_query_name){.name = "weir.removed", .source = removed};
    weir_query_names_set(delivery->session, names, count);
    /* a run that goes on in the middle of a step must find the same changes, whatever the time */
    weir_query_now_set(delivery->session, delivery->step.committed_ms * 1000);
    WEIR_TRY(weir_arena_print(arena, &text, reterr, "SELECT * FROM %s", names[0].name));
    WEIR_TRY(weir_query_plan(delivery->session, arena, text, &root, NULL, reterr));
    WEIR_TRY(texts_make(arena, delivery->config, &root->type, &texts, reterr));
    WEIR_TRY(find_dropped(delivery, arena, &texts.dropped, reterr));
    WEIR_TRY(
        step_text(&texts, added->operations != NULL, removed->operations != NULL, &text, reterr));
    WEIR_TRY(weir_query_plan(delivery->session, arena, text, &root, NULL, reterr));
    struct weir_query_result result = {begin, take_batch, delivery};
    return weir_query_execute(delivery->session, root, &result, NULL, reterr);
}

static void free_rows(struct weir_table_source *rows)
{
    if (rows->operations)
        rows->operations->free(rows->self);
}

/* Where rows were deleted in place, a file that both have may have changed: then all of them count,
 * and equal rows cancel. */
static weir_status open_and_run(struct delivery *delivery, struct weir_arena *arena,
                                struct weir_table_source *added, struct weir_table_source *removed,
                                struct weir_error *reterr)
{
    const struct step *step = &delivery->step;
    struct weir_difference difference;
    struct paths added_paths, removed_paths;
    WEIR_TRY(weir_snapshot_difference(delivery->lake, delivery->table->metadata, step->from,
                                      step->to, arena, &difference, reterr));
    if (difference.deletes || difference.added_count)
        WEIR_TRY(open_rows(delivery, arena, step->to, difference.added, difference.added_count,
                           difference.added_rows, difference.deletes, &added_paths, added, reterr));
    if (step->from && (difference.deletes || difference.removed_count))
        WEIR_TRY(open_rows(delivery, arena, step->from, difference.removed,
                           difference.removed_count, difference.removed_rows, difference.deletes,
                           &removed_paths, removed, reterr));
    if (!added->operations && !removed->operations)
        return WEIR_OK;
    weir_status status = run_step(delivery, arena, added, removed, reterr);
    weir_query_names_set(delivery->session, NULL, 0);
    return status;
}

weir_status changes_send(struct delivery *delivery, struct weir_error *reterr)
{
    struct weir_table_source added = {0}, removed = {0};
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &delivery->lake->context->memory);
    weir_status status = open_and_run(delivery, &arena, &added, &removed, reterr);
    free_rows(&added);
    free_rows(&removed);
    return status;
}

/* ---- rows as they are ---- */

struct look {
    weir_status (*take)(void *self, struct weir_bytes key_json, struct weir_bytes row,
                        struct weir_error *reterr);
    void *self;
};

static weir_status look_batch(void *self, const struct weir_batch *batch, struct weir_error *reterr)
{
    const struct look *look = self;
    for (uint32_t row = 0; row < batch->count; row++)
        WEIR_TRY(look->take(look->self, text_at(&batch->columns[2], row),
                            text_at(&batch->columns[3], row), reterr));
    return WEIR_OK;
}

static weir_status look_at(struct delivery *delivery, struct weir_arena *arena,
                           const struct weir_table_source *rows, struct look *look,
                           struct weir_error *reterr)
{
    struct weir_query_name name = {.name = "weir.added", .source = rows};
    struct weir_query_result result = {begin, look_batch, look};
    struct weir_operator *root;
    struct texts texts;
    char *text, *these;
    weir_query_names_set(delivery->session, &name, 1);
    WEIR_TRY(
        weir_query_plan(delivery->session, arena, "SELECT * FROM weir.added", &root, NULL, reterr));
    WEIR_TRY(texts_make(arena, delivery->config, &root->type, &texts, reterr));
    WEIR_TRY(rows_of(&texts, "weir.added", NULL, &these, reterr));
    WEIR_TRY(weir_arena_print(arena, &text, reterr,
                              "SELECT 0 AS weir_kind, %s, %s, %s AS weir_row FROM (SELECT %s, %s "
                              "FROM (%s) c) r",
                              texts.key_text, texts.key, texts.row, texts.columns, texts.keys,
                              these));
    WEIR_TRY(weir_query_plan(delivery->session, arena, text, &root, NULL, reterr));
    return weir_query_execute(delivery->session, root, &result, NULL, reterr);
}

weir_status changes_look(struct delivery *delivery, int64_t snapshot,
                         weir_status (*take)(void *self, struct weir_bytes key_json,
                                             struct weir_bytes row, struct weir_error *reterr),
                         void *self, struct weir_error *reterr)
{
    struct weir_table_source rows = {0};
    struct look look = {take, self};
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &delivery->lake->context->memory);
    WEIR_TRY(open_rows(delivery, &arena, snapshot, NULL, 0, 0, true, NULL, &rows, reterr));
    weir_status status = look_at(delivery, &arena, &rows, &look, reterr);
    weir_query_names_set(delivery->session, NULL, 0);
    free_rows(&rows);
    return status;
}
