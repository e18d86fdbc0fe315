/* Models of the pipeline file: the query, how its table is kept up to date, and its gates, each as
 * a query for the rows that break it. */
#include "scheduler/pipeline/pipeline_int.h"

#include "engine/base/limits.h"
#include "formats/codec/codec.h"

#include <string.h>

/* ---- the query ---- */

static void trim(char *text)
{
    size_t size = strlen(text);
    while (size && strchr(" \t\r\n;", text[size - 1]))
        text[--size] = '\0';
}

static void bind_sql(struct table_reading *at, struct weir_model_config *model)
{
    struct reading *reading = at->reading;
    const struct node *node = node_get(at->node, "sql");
    struct weir_error error = {0};
    const char *path = node ? get_path(reading, node->text) : NULL;
    char *text;
    size_t size;
    if (!path)
        return;
    weir_status status = file_read(reading, path, node->text, WEIR_SQL_SIZE_MAX, &text, &size,
                                   &error);
    if (status != WEIR_OK) {
        complain(reading, node, 0, NULL, "%s.sql: %s", at->shown, error.text);
        return;
    }
    trim(text);
    model->sql = text;
    model->sql_file = node->text;
    if (strlen(text) == 0)
        complain(reading, node, 0, NULL, "%s.sql: %s is empty", at->shown, node->text);
}

/* A source of files as a query: the declared columns, cast. */
static void bind_files(struct table_reading *at, struct weir_model_config *model,
                       const struct weir_source_config *source)
{
    struct reading *reading = at->reading;
    const char *list = "";
    model->files = source->files;
    for (uint32_t i = 0; list && i < at->table->columns.child_count; i++)
        list = take_print(reading, "%s%s\"%s\"", list, i ? ", " : "",
                          at->table->columns.children[i].name);
    if (list && source->files)
        model->sql = take_print(reading, "SELECT %s FROM '%s'", *list ? list : "*", source->files);
}

/* ---- keys ---- */

static enum weir_model_mode mode_of(const struct node *table)
{
    static const char *const names[] = {"append", "merge", "recompute", "full", "view"};
    const struct node *node = node_get(table, "mode");
    for (int i = 0; i < 5; i++)
        if (node_is(node, names[i]))
            return (enum weir_model_mode)i;
    return WEIR_MODEL_APPEND;
}

static void bind_keys(struct table_reading *at, struct weir_model_config *model)
{
    static const struct {
        const char *key;
        int mode; /* the only one that has it */
    } only[] = {{"unique_key", WEIR_MODEL_MERGE},
                {"order_by", WEIR_MODEL_MERGE},
                {"delete_when", WEIR_MODEL_MERGE},
                {"group_by", WEIR_MODEL_RECOMPUTE}};
    const char *key = model->mode == WEIR_MODEL_MERGE ? "unique_key" : "group_by";
    const struct node *condition = node_get(at->node, "delete_when"),
                      *mode = node_get(at->node, "mode");
    for (size_t i = 0; i < sizeof only / sizeof *only; i++)
        if (node_get_key(at->node, only[i].key) && model->mode != only[i].mode)
            complain(at->reading, node_get_key(at->node, only[i].key), 0, NULL,
                     "%s.%s: it goes with mode: %s", at->shown, only[i].key,
                     only[i].mode == WEIR_MODEL_MERGE ? "merge" : "recompute");
    if (model->mode == WEIR_MODEL_MERGE || model->mode == WEIR_MODEL_RECOMPUTE) {
        model->keys = get_texts(at->reading, at->node, key, &model->key_count);
        for (size_t i = 0; i < model->key_count; i++)
            column_by_path(at, list_item(node_get(at->node, key), i), 0, model->keys[i], key);
        if (model->key_count == 0 && mode)
            complain(at->reading, mode, 0, NULL, "%s: mode %s needs %s", at->shown, mode->text,
                     key);
    }
    model->order_by = get_texts(at->reading, at->node, "order_by", &model->order_count);
    if (condition && expression_check(at, condition, "delete_when"))
        model->delete_when = condition->text;
    model->driven_by = get_texts(at->reading, at->node, "driven_by", &model->driven_count);
    const struct node *reprocess = node_get(at->node, "reprocess"),
                      *change = node_get(at->node, "on_change");
    if (reprocess && model->driven_count == 0)
        complain(at->reading, node_get_key(at->node, "reprocess"), 0,
                 "driven_by: [layer.table], those whose changes make it due",
                 "%s.reprocess: it goes with driven_by", at->shown);
    bool never = reprocess ? node_is(reprocess, "never") : model->mode == WEIR_MODEL_APPEND;
    model->reprocess = node_is(reprocess, "all") ? WEIR_REPROCESS_ALL
                       : never                   ? WEIR_REPROCESS_NEVER
                                                 : WEIR_REPROCESS_TOUCHED;
    model->on_change = node_is(change, "forward")   ? WEIR_CHANGE_FORWARD
                       : node_is(change, "rebuild") ? WEIR_CHANGE_REBUILD
                                                    : WEIR_CHANGE_ASK;
    model->from_what_is_left = node_is(node_get(at->node, "on_closed"), "recompute");
}

/* ---- gates ---- */

struct gates {
    struct table_reading *at;
    struct weir_model_config *model;
    struct weir_gate *items;
    const struct node *item;
    const char *table; /* quoted */
};

/* A row that breaks it can be told by itself (`bad`), or among its group's (`unique`). */
static void gate_add(struct gates *gates, const struct node *node, const struct weir_gate *gate)
{
    struct reading *reading = gates->at->reading;
    const char *given = get_text(gates->item, "name");
    const struct node *on_fail = node_get(gates->item, "on_fail");
    bool aside = node_is(on_fail, "quarantine");
    if (aside && !gate->bad && !gate->unique)
        complain(reading, on_fail, 0, "fail, or warn",
                 "%s.expect: %s is of the table as a whole: there is no row to set aside",
                 gates->at->shown, gate->name);
    if (!gate->bad_rows)
        return;
    struct weir_gate *added = &gates->items[gates->model->gate_count++];
    *added = *gate;
    added->name = given ? given : gate->name;
    added->on_fail = aside                      ? WEIR_ON_FAIL_QUARANTINE
                     : node_is(on_fail, "warn") ? WEIR_ON_FAIL_WARN
                                                : WEIR_ON_FAIL_FAIL;
    added->location = node_location(reading, node);
    gates->model->aside_count += aside;
}

static const char *column_list(struct reading *reading, const struct node *list)
{
    const char *text = "";
    for (size_t i = 0; text && i < list_size(list); i++)
        text = take_print(reading, "%s%s%s", text, i ? ", " : "",
                          quoted_column(reading, list_item(list, i)->text));
    return text ? text : "";
}

static const char *rows_where(struct gates *gates, const char *bad)
{
    return bad ? take_print(gates->at->reading, "SELECT * FROM %s weir_t WHERE %s", gates->table,
                            bad)
               : NULL;
}

static void gate_values(struct gates *gates, const struct node *node)
{
    struct reading *reading = gates->at->reading;
    size_t count;
    const char *column = get_text(node, "column"), *list = "",
               **values = get_texts(reading, node, "values", &count);
    if (!column)
        return;
    for (size_t i = 0; list && i < count; i++) {
        char *quoted = take(reading, 2 * strlen(values[i]) + 3, 1), *to = quoted;
        for (const char *from = values[i]; quoted && *from; from++) {
            *to++ = *from;
            if (*from == '\'')
                *to++ = '\'';
        }
        list = take_print(reading, "%s%s'%s'", list, i ? ", " : "", quoted ? quoted : "");
    }
    const char *bad = take_print(reading, "%s::text NOT IN (%s)", quoted_column(reading, column),
                                 list ? list : "");
    gate_add(gates, node,
             &(struct weir_gate){.name = take_print(reading, "accepted_values(%s)", column),
                                 .bad_rows = rows_where(gates, bad),
                                 .bad = bad});
}

static void gate_relationship(struct gates *gates, const struct node *node)
{
    struct reading *reading = gates->at->reading;
    const char *column = get_text(node, "column"), *to = get_text(node, "to"),
               *dot = to ? strrchr(to, '.') : NULL;
    if (!column || !to)
        return;
    if (!dot || dot == to) {
        complain(reading, node_get(node, "to"), 0, "layer.table.column",
                 "%s.expect: relationship.to names a table's column", gates->at->shown);
        return;
    }
    const char *table = take_text(reading, to, (size_t)(dot - to)),
               *quoted = quoted_column(reading, column);
    const char *bad = take_print(reading,
                                 "weir_t.%s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM %s weir_o "
                                 "WHERE weir_o.%s = weir_t.%s)",
                                 quoted, quoted_column(reading, table),
                                 quoted_column(reading, dot + 1), quoted);
    gate_add(gates, node,
             &(struct weir_gate){.name = take_print(reading, "relationship(%s)", column),
                                 .bad_rows = rows_where(gates, bad),
                                 .bad = bad,
                                 .other = table});
}

static void gate_row_count(struct gates *gates, const struct node *node)
{
    struct reading *reading = gates->at->reading;
    int64_t least = get_whole(node, "min", 0), most = get_whole(node, "max", INT64_MAX);
    const char *bad_rows = take_print(reading,
                                      "SELECT * FROM (SELECT count(*) AS row_count FROM %s) weir_t "
                                      "WHERE row_count < %lld OR row_count > %lld",
                                      gates->table, (long long)least, (long long)most);
    gate_add(gates, node, &(struct weir_gate){.name = "row_count", .bad_rows = bad_rows});
}

/* The newest value is told, not each row that is older. */
static void gate_freshness(struct gates *gates, const struct node *node)
{
    struct reading *reading = gates->at->reading;
    const char *column = get_text(node, "column");
    int64_t within = get_duration_ms(node, "within", -1);
    if (!column || within < 0)
        return;
    column_by_path(gates->at, node_get(node, "column"), 0, column, "expect");
    const char *quoted = quoted_column(reading, column);
    const char *bad_rows = take_print(
        reading,
        "SELECT * FROM (SELECT max(%s) AS %s FROM %s) weir_t WHERE %s IS NULL OR %s::timestamptz < "
        "now() - INTERVAL '%lld milliseconds'",
        quoted, quoted, gates->table, quoted, quoted, (long long)within);
    gate_add(gates, node,
             &(struct weir_gate){.name = take_print(reading, "freshness(%s)", column),
                                 .bad_rows = bad_rows});
}

static void gate_condition(struct gates *gates, const struct node *that)
{
    if (!expression_check(gates->at, that, "expect"))
        return;
    const char *bad = take_print(gates->at->reading, "NOT (%s)", that->text);
    gate_add(
        gates, that,
        &(struct weir_gate){.name = that->text, .bad_rows = rows_where(gates, bad), .bad = bad});
}

static void gate_not_null(struct gates *gates, const struct node *list)
{
    struct reading *reading = gates->at->reading;
    for (size_t i = 0; i < list_size(list); i++) {
        const struct node *column = list_item(list, i);
        if (column->kind != NODE_SCALAR)
            continue;
        const char *bad = take_print(reading, "%s IS NULL", quoted_column(reading, column->text));
        gate_add(gates, column,
                 &(struct weir_gate){.name = take_print(reading, "not_null(%s)", column->text),
                                     .bad_rows = rows_where(gates, bad),
                                     .bad = bad});
    }
}

/* Which of equal rows stay can be told where all of them are seen together: the whole table, or the
 * group that is computed anew. */
static bool sees_equal_rows(const struct weir_model_config *model, const struct node *unique)
{
    bool all = model->mode == WEIR_MODEL_RECOMPUTE;
    for (size_t k = 0; all && k < model->key_count; k++) {
        bool among = false;
        for (size_t i = 0; i < list_size(unique); i++)
            among |= node_is(list_item(unique, i), model->keys[k]);
        all = among;
    }
    return all || model->mode == WEIR_MODEL_FULL;
}

static void gate_unique(struct gates *gates, const struct node *unique)
{
    struct reading *reading = gates->at->reading;
    const char *columns = column_list(reading, unique);
    const struct node *on_fail = node_get(gates->item, "on_fail");
    if (node_is(on_fail, "quarantine") && !sees_equal_rows(gates->model, unique))
        complain(reading, on_fail, 0,
                 "fail, or warn; or mode: merge with unique_key, which keeps the newest",
                 "%s.expect: which of equal rows to set aside is known in mode full, and in mode "
                 "recompute when group_by is among the columns",
                 gates->at->shown);
    gate_add(gates, unique,
             &(struct weir_gate){
                 .name = take_print(reading, "unique(%s)", columns),
                 .bad_rows = take_print(reading,
                                        "SELECT %s, count(*) AS rows FROM %s GROUP BY %s HAVING "
                                        "count(*) > 1",
                                        columns, gates->table, columns),
                 .unique = columns});
}

static void bind_gate(struct gates *gates, const struct node *item, size_t index)
{
    static const struct {
        const char *key;
        void (*bind)(struct gates *gates, const struct node *node);
    } kinds[] = {{"that", gate_condition},
                 {"not_null", gate_not_null},
                 {"unique", gate_unique},
                 {"accepted_values", gate_values},
                 {"relationship", gate_relationship},
                 {"row_count", gate_row_count},
                 {"freshness", gate_freshness}};
    bool any = false;
    gates->item = item;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct node *node = node_get(item, kinds[i].key);
        any |= node != NULL;
        if (node)
            kinds[i].bind(gates, node);
    }
    if (item->kind == NODE_MAP && !any)
        complain(gates->at->reading, item, 0, NULL,
                 "%s.expect[%zu]: expected that, not_null, unique, accepted_values, relationship, "
                 "row_count or freshness",
                 gates->at->shown, index);
}

static void bind_gates(struct table_reading *at, struct weir_model_config *model)
{
    const struct node *list = node_get(at->node, "expect");
    size_t room = 0;
    for (size_t i = 0; i < list_size(list); i++)
        room += 6 + list_size(node_get(list_item(list, i), "not_null"));
    struct gates gates = {at, model, take(at->reading, room + 1, sizeof *gates.items), NULL,
                          quoted_column(at->reading, at->table->name)};
    model->gates = gates.items;
    for (size_t i = 0; gates.items && i < list_size(list); i++)
        bind_gate(&gates, list_item(list, i), i);
}

/* ---- the model ---- */

static weir_status canonical(const struct weir_model_config *model, struct weir_buffer *out,
                             struct weir_error *reterr)
{
    WEIR_TRY(table_canonical(&model->table, out, reterr));
    WEIR_TRY(canonical_text(out, "sql", model->sql, reterr));
    WEIR_TRY(weir_buffer_print(out, reterr, "mode %d\n", model->mode));
    for (size_t i = 0; i < model->key_count; i++)
        WEIR_TRY(canonical_text(out, "key", model->keys[i], reterr));
    for (size_t i = 0; i < model->order_count; i++)
        WEIR_TRY(canonical_text(out, "order", model->order_by[i], reterr));
    /* what is set aside is not in the table; other checks change nothing in it */
    for (size_t i = 0; i < model->gate_count; i++)
        if (model->gates[i].on_fail == WEIR_ON_FAIL_QUARANTINE)
            WEIR_TRY(canonical_text(
                out, "aside", model->gates[i].bad ? model->gates[i].bad : model->gates[i].unique,
                reterr));
    return canonical_text(out, "delete_when", model->delete_when, reterr);
}

void model_bind(struct table_reading *at, struct weir_model_config *model,
                const struct weir_source_config *source)
{
    struct reading *reading = at->reading;
    WEIR_AUTO(weir_buffer) text = {.account = reading->arena->account};
    const struct node *both = node_get_key(at->node, "sql");
    model->mode = mode_of(at->node);
    model->table.source = NULL;
    model->table.metadata = false;
    if (!node_get(at->node, "codec")) { /* rewritten more often than read as a stream: smaller */
        model->table.codec = WEIR_CODEC_ZSTD;
        model->table.codec_level = 3;
    }
    model->description = get_text(at->node, "description");
    if (both && node_get_key(at->node, "source"))
        complain(reading, both, 0, NULL, "%s: source or sql, not both", at->shown);
    if (both)
        bind_sql(at, model);
    else if (source)
        bind_files(at, model, source);
    if (node_get(at->node, "where"))
        complain(reading, node_get_key(at->node, "where"), 0, "write it into the SQL",
                 "%s.where: models have none", at->shown);
    bind_keys(at, model);
    bind_gates(at, model);
    if (reading->status != WEIR_OK || !model->sql)
        return;
    reading->status = canonical(model, &text, &reading->error);
    if (reading->status == WEIR_OK)
        bind_digest_of(at, &text);
}
