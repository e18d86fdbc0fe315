/* What a promotion would lead to, computed and told, never committed. The tables of its statements:
 *   weir.new   what the SQL gives now               weir.old    what the table holds
 *   weir.add = new - old, weir.gone = old - new     weir.keys   with `since`: which keys count
 * of columns that both have. Gates run over what the table would be, sinks over both. Nothing is
 * tagged: what an expiry takes away meanwhile ends this with an error. */
#include "engine/base/limits.h"
#include "engine/base/text.h"
#include "scheduler/promote/graph.h"
#include "scheduler/promote/promote_int.h"
#include "scheduler/sink/sink.h"

#include <stdio.h>
#include <string.h>

#define SAMPLE_ROWS 5

struct whatif {
    struct promotion promotion;
    struct weir_promote_options options; /* of the promotion */
    const struct weir_whatif_options *asked;
    struct weir_graph *tried, *standing; /* where columns come from: by this SQL, and by that which
                                            made the table; NULL: not known */
    json_t *report;
    const char *common; /* "a", "b": columns that SQL and table both have */
    const char *keys;   /* "k1", "k2"; NULL: rows have no key that both have */
    bool keyed;         /* only rows whose key is in weir.keys */
    bool failed;        /* a gate said no */
    struct weir_error first;
};

/* ---- texts ---- */

static weir_status quoted(struct weir_arena *arena, const char *name, char quote, char **ret_text,
                          struct weir_error *reterr)
{
    char *text;
    size_t used = 0, size = strlen(name);
    WEIR_TRY(weir_arena_zero(arena, 2 * size + 3, 1, &text, reterr));
    text[used++] = quote;
    for (size_t i = 0; i < size; i++) {
        if (name[i] == quote)
            text[used++] = quote;
        text[used++] = name[i];
    }
    text[used] = quote;
    *ret_text = text;
    return WEIR_OK;
}

static weir_status add_text(struct weir_arena *arena, const char **list, const char *between,
                            const char *more, struct weir_error *reterr)
{
    char *longer;
    WEIR_TRY(
        weir_arena_print(arena, &longer, reterr, "%s%s%s", *list, **list ? between : "", more));
    *list = longer;
    return WEIR_OK;
}

/* A name for SQL from now on; behind those of promotion_names. */
static void name_sql(struct promotion *promotion, const char *name, const char *sql)
{
    promotion->names[promotion->name_count++] = (struct weir_query_name){.name = name, .sql = sql};
    weir_query_names_set(promotion->session, promotion->names, promotion->name_count);
}

/* The one row of a statement that gives to_json(...). New reference. */
static weir_status one_object(struct whatif *whatif, const char *text, json_t **ret_object,
                              struct weir_error *reterr)
{
    struct path_set rows;
    WEIR_TRY(statement_texts(&whatif->promotion, text, &rows, reterr));
    *ret_object = rows.count ? json_loads(rows.paths[0], 0, NULL) : NULL;
    return *ret_object ? WEIR_OK
                       : weir_fail(reterr, WEIR_INTERNAL, "a count of what-if gave no row");
}

/* ---- columns ---- */

static const struct weir_type *table_columns(const struct promotion *promotion)
{
    return promotion->table ? &weir_metadata_schema(promotion->table->metadata)->root : NULL;
}

static bool has_column(const struct weir_type *type, const char *name)
{
    return !type || weir_type_child(type, name, strlen(name)) != NULL;
}

static weir_status find_columns(struct whatif *whatif, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    const struct weir_type *columns = &promotion->columns, *has = table_columns(promotion);
    json_t *added = json_object_get(whatif->report, "columns_added"),
           *removed = json_object_get(whatif->report, "columns_removed");
    const struct weir_model_config *model = promotion->model;
    char *name;
    bool all = model->key_count > 0;
    whatif->common = "";
    for (uint32_t i = 0; i < columns->child_count; i++) {
        if (!has_column(has, columns->children[i].name)) {
            json_array_append_new(added, json_string(columns->children[i].name));
            continue;
        }
        WEIR_TRY(quoted(&promotion->arena, columns->children[i].name, '"', &name, reterr));
        WEIR_TRY(add_text(&promotion->arena, &whatif->common, ", ", name, reterr));
    }
    for (uint32_t i = 0; has && i < has->child_count; i++)
        if (!has_column(columns, has->children[i].name))
            json_array_append_new(removed, json_string(has->children[i].name));
    if (!*whatif->common)
        return weir_fail(reterr, WEIR_USAGE, "%s: the SQL and the table have no column in common",
                         model->table.name);
    whatif->keys = "";
    for (size_t i = 0; i < model->key_count; i++) {
        all &= has_column(has, model->keys[i]);
        WEIR_TRY(quoted(&promotion->arena, model->keys[i], '"', &name, reterr));
        WEIR_TRY(add_text(&promotion->arena, &whatif->keys, ", ", name, reterr));
    }
    whatif->keys = all ? whatif->keys : NULL;
    return WEIR_OK;
}

/* The table's rows with the columns that the SQL gives; null where it has none. */
static weir_status old_list(struct whatif *whatif, const char **ret_list, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    const struct weir_type *columns = &promotion->columns, *has = table_columns(promotion);
    const char *list = "";
    char *name, *text;
    for (uint32_t i = 0; i < columns->child_count; i++) {
        WEIR_AUTO(weir_buffer) type = {.account = promotion->arena.account};
        WEIR_TRY(quoted(&promotion->arena, columns->children[i].name, '"', &name, reterr));
        WEIR_TRY(weir_type_print(&columns->children[i].type, &type, reterr));
        WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr, "CAST(%s AS %s) AS %s",
                                  has_column(has, columns->children[i].name) ? name : "NULL",
                                  (const char *)type.data, name));
        WEIR_TRY(add_text(&promotion->arena, &list, ", ", text, reterr));
    }
    *ret_list = list;
    return WEIR_OK;
}

/* ---- since ---- */

static weir_status iso_time(struct weir_arena *arena, int64_t ms, char **ret_text,
                            struct weir_error *reterr)
{
    char text[40];
    size_t size = weir_print_timestamptz(text, ms * 1000);
    return weir_arena_copy(arena, text, size, ret_text, reterr);
}

/* The newest snapshot of main that was there at `cut_ms`; 0: the table was not. *ret_cut: what was
 * there then is expired, and this is the oldest that is left. */
static int64_t snapshot_at(const struct weir_metadata *metadata, int64_t head, int64_t cut_ms,
                           bool *ret_cut)
{
    struct weir_snapshot snapshot;
    int64_t id = head;
    *ret_cut = false;
    while (weir_metadata_snapshot(metadata, id, &snapshot) && snapshot.timestamp_ms > cut_ms) {
        struct weir_snapshot parent;
        if (snapshot.parent_id <= 0)
            return 0;
        if (!weir_metadata_snapshot(metadata, snapshot.parent_id, &parent)) {
            *ret_cut = true;
            return id;
        }
        id = snapshot.parent_id;
    }
    return id;
}

static weir_status look_back(struct whatif *whatif, struct source *source, int64_t cut_ms,
                             json_t *told, struct weir_error *reterr)
{
    struct weir_snapshot snapshot;
    char *committed = NULL;
    bool cut;
    source->from = snapshot_at(source->table->metadata, source->to, cut_ms, &cut);
    source->changed = source->from != source->to;
    if (weir_metadata_snapshot(source->table->metadata, source->from, &snapshot))
        WEIR_TRY(iso_time(&whatif->promotion.arena, snapshot.timestamp_ms, &committed, reterr));
    json_array_append_new(told,
                          json_pack("{s:s, s:I, s:s?, s:b}", "table", source->name, "snapshot",
                                    (json_int_t)source->from, "committed", committed, "cut", cut));
    return WEIR_OK;
}

/* Nothing came: an empty weir.keys. */
static weir_status no_keys(struct whatif *whatif, bool *ret_everything, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    char *text;
    *ret_everything = false;
    WEIR_TRY(promotion_names(promotion, promotion->source_count, VARIANT_TO, VARIANT_TO, VARIANT_TO,
                             reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT %s FROM (SELECT %s FROM weir.model m) m WHERE false",
                              whatif->keys, promotion->model_list));
    return statement_keep(promotion, "weir.keys", text, true, NULL, reterr);
}

/* "k1" of weir.model m, cast as the table's columns are; their numbers. */
static weir_status key_casts(struct promotion *promotion, const char **ret_list,
                             uint32_t **ret_numbers, struct weir_error *reterr)
{
    const char *list = "";
    char *name, *text;
    uint32_t *numbers;
    size_t count = promotion->model->key_count;
    WEIR_TRY(weir_arena_zero(&promotion->arena, count + 1, sizeof *numbers, &numbers, reterr));
    for (size_t i = 0; i < count; i++) {
        const struct weir_field *field = &promotion->columns.children[promotion->keys[i]];
        WEIR_AUTO(weir_buffer) type = {.account = promotion->arena.account};
        WEIR_TRY(weir_type_print(&field->type, &type, reterr));
        WEIR_TRY(quoted(&promotion->arena, field->name, '"', &name, reterr));
        WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr, "CAST(m.%s AS %s) AS %s", name,
                                  (const char *)type.data, name));
        WEIR_TRY(add_text(&promotion->arena, &list, ", ", text, reterr));
        numbers[i] = (uint32_t)i;
    }
    *ret_list = list;
    *ret_numbers = numbers;
    return WEIR_OK;
}

/* The keys that the rows touch by the SQL that made the table: what that gives, and the new SQL
 * does not, goes. When it does not bind any more, nothing short of everything will do. */
static weir_status standing_keys(struct whatif *whatif, bool *ret_everything,
                                 struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion, kept = *promotion;
    const struct weir_model_config *standing = whatif->asked->standing
                                                   ? model_find(whatif->asked->standing,
                                                                promotion->model->table.name)
                                                   : NULL;
    struct weir_error error = {0};
    if (!standing || *ret_everything)
        return WEIR_OK;
    WEIR_TRY(key_casts(promotion, &promotion->model_list, &promotion->keys, reterr));
    promotion->model = standing;
    weir_status status = compute_keys(promotion, ret_everything, &error);
    promotion->model = kept.model;
    promotion->model_list = kept.model_list;
    promotion->keys = kept.keys;
    if (status == WEIR_USAGE) {
        *ret_everything = true;
        return WEIR_OK;
    }
    if (status != WEIR_OK && reterr)
        *reterr = error;
    return status;
}

/* Which keys count: those that the rows touch which came to the sources, or left them, since. */
static weir_status find_keys(struct whatif *whatif, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    int64_t cut_ms = weir_now_ms(promotion->lake->context) - whatif->asked->since_ms;
    char *from;
    bool changed = false, everything = true;
    json_t *told = json_array(), *since;
    weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < promotion->source_count; i++) {
        status = look_back(whatif, &promotion->sources[i], cut_ms, told, reterr);
        changed |= promotion->sources[i].changed;
    }
    if (status == WEIR_OK)
        status = iso_time(&promotion->arena, cut_ms, &from, reterr);
    if (status == WEIR_OK && changed)
        status = promotion_differences(promotion, reterr);
    if (status == WEIR_OK)
        status = changed ? compute_keys(promotion, &everything, reterr)
                         : no_keys(whatif, &everything, reterr);
    if (status == WEIR_OK && changed)
        status = standing_keys(whatif, &everything, reterr);
    if (status != WEIR_OK) {
        json_decref(told);
        return status;
    }
    whatif->keyed = !everything;
    since = json_pack("{s:s, s:s, s:o}", "from", from, "keys", everything ? "all" : "touched",
                      "sources", told);
    json_object_set_new(whatif->report, "since", since);
    return WEIR_OK;
}

static weir_status check_since(const struct whatif *whatif, struct weir_error *reterr)
{
    const struct weir_model_config *model = whatif->promotion.model;
    if (!whatif->asked->since_ms || (model->key_count && whatif->keys && !model->files))
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_USAGE,
                                   "%s: --since needs a key by which old rows and new ones are "
                                   "told apart",
                                   model->table.name);
    weir_error_hint(reterr, "mode: merge has unique_key, mode: recompute has group_by; without "
                            "--since everything is compared");
    return status;
}

/* ---- old and new ---- */

static weir_status old_rows(struct whatif *whatif, const char *condition, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    const char *list;
    char *text;
    WEIR_TRY(old_list(whatif, &list, reterr));
    if (!promotion->table) {
        name_sql(promotion, "weir.old", "SELECT * FROM weir.new WHERE false");
        return WEIR_OK;
    }
    WEIR_TRY(promotion_target(promotion, "weir.target", NULL, reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT %s FROM weir.target t WHERE %s", list, condition));
    name_sql(promotion, "weir.old", text);
    return WEIR_OK;
}

/* In memory, as long as they fit; else the SQL is run for each statement that needs them. */
static weir_status new_rows(struct whatif *whatif, const char *condition, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    size_t kept = promotion->kept_count;
    char *text;
    WEIR_TRY(compute_rows(promotion, condition, &text, reterr));
    weir_status status = statement_keep(promotion, "weir.new", text, true, NULL, reterr);
    if (status != WEIR_NO_MEMORY)
        return status;
    for (; promotion->kept_count > kept; promotion->kept_count--) {
        struct weir_table_source *rows = &promotion->kept[promotion->kept_count - 1];
        rows->operations->free(rows->self);
        rows->operations = NULL;
    }
    name_sql(promotion, "weir.new", text);
    return WEIR_OK;
}

static weir_status compare(struct whatif *whatif, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    char *old, *new, *text;
    const char *list = whatif->common;
    WEIR_TRY(closed_open(promotion, "t", &old, reterr));
    WEIR_TRY(closed_open(promotion, "m", &new, reterr));
    if (whatif->keyed) {
        WEIR_TRY(compute_touched(promotion, "t", &old, reterr));
        WEIR_TRY(compute_touched(promotion, "m", &new, reterr));
    }
    WEIR_TRY(new_rows(whatif, new, reterr));
    WEIR_TRY(old_rows(whatif, old, reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT %s FROM weir.new EXCEPT ALL SELECT %s FROM weir.old", list,
                              list));
    WEIR_TRY(statement_keep(promotion, "weir.add", text, true, NULL, reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT %s FROM weir.old EXCEPT ALL SELECT %s FROM weir.new", list,
                              list));
    return statement_keep(promotion, "weir.gone", text, true, NULL, reterr);
}

/* What the table would hold: under its own name from now on, for gates. */
static weir_status name_candidate(struct whatif *whatif, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    const char *list, *name = promotion->model->table.name;
    char *text;
    if (!whatif->keyed || !promotion->table) {
        name_sql(promotion, name, "SELECT * FROM weir.new");
        return WEIR_OK;
    }
    WEIR_TRY(old_list(whatif, &list, reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "(SELECT %s FROM weir.target EXCEPT ALL SELECT * FROM weir.old) "
                              "UNION ALL SELECT * FROM weir.new",
                              list));
    name_sql(promotion, name, text);
    return WEIR_OK;
}

/* ---- counts ---- */

static weir_status count_rows(struct whatif *whatif, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    const struct weir_table_config *config = &promotion->model->table;
    char *text, *layer, *name;
    json_t *counts;
    const char *keys = whatif->keys ? whatif->keys : "k"; /* without: came and went, no more */
    WEIR_TRY(weir_arena_print(
        &promotion->arena, &text, reterr,
        "SELECT to_json({'added': coalesce(sum(CASE WHEN a > g THEN a - g ELSE 0 END), 0)::bigint, "
        "'removed': coalesce(sum(CASE WHEN g > a THEN g - a ELSE 0 END), 0)::bigint, "
        "'changed': coalesce(sum(CASE WHEN a < g THEN a ELSE g END), 0)::bigint}) FROM "
        "(SELECT %s, sum(a)::bigint AS a, sum(g)::bigint AS g FROM (SELECT %s, 1 AS a, 0 AS g "
        "FROM weir.add UNION ALL SELECT %s, 0 AS a, 1 AS g FROM weir.gone) x GROUP BY %s) y",
        keys, whatif->keys ? keys : "1 AS k", whatif->keys ? keys : "2 AS k", keys));
    WEIR_TRY(one_object(whatif, text, &counts, reterr));
    json_object_update(whatif->report, counts);
    json_decref(counts);
    WEIR_TRY(quoted(&promotion->arena, config->layer, '"', &layer, reterr));
    WEIR_TRY(quoted(&promotion->arena, config->short_name, '"', &name, reterr));
    WEIR_TRY(weir_arena_print(
        &promotion->arena, &text, reterr,
        "SELECT to_json({'before': (SELECT count(*) FROM %s), 'after': (SELECT count(*) FROM "
        "%s.%s)})",
        promotion->table ? "weir.target" : "weir.old", layer, name));
    WEIR_TRY(one_object(whatif, text, &counts, reterr));
    json_object_set_new(whatif->report, "rows", counts);
    return WEIR_OK;
}

/* ---- samples ---- */

static const struct weir_graph_column *traced(const struct whatif *whatif,
                                              const struct weir_graph *graph, const char *column)
{
    const struct weir_graph_table *table =
        graph ? weir_graph_find(graph, whatif->promotion.model->table.name) : NULL;
    return table ? weir_graph_column(table, column) : NULL;
}

/* By the SQL to be tried, by that which made the table, and by what the table says of itself. */
static bool may_show(const struct whatif *whatif, const char *column)
{
    const struct promotion *promotion = &whatif->promotion;
    const struct weir_pipeline *pipeline = promotion->options->pipeline;
    const struct weir_graph_column *now = traced(whatif, whatif->tried, column),
                                   *was = traced(whatif, whatif->standing, column);
    char property[WEIR_NAME_SIZE_MAX + 32];
    snprintf(property, sizeof property, "weir.class.%s", column);
    const char *noted = promotion->table
                            ? weir_metadata_property(promotion->table->metadata, property)
                            : NULL;
    if ((noted && strcmp(noted, "none") != 0) || (was && was->class_ != WEIR_CLASS_NONE))
        return false;
    if (now)
        return now->class_ == WEIR_CLASS_NONE;
    for (size_t i = 0; i < pipeline->table_count; i++)
        for (size_t c = 0; c < pipeline->tables[i].column_config_count; c++)
            if (pipeline->tables[i].column_configs[c].class_name &&
                strcmp(pipeline->tables[i].column_configs[c].class_name, "none") != 0)
                return false;
    return true;
}

/* One column of a row: its value, or that it is masked; beside a row `before`, that it is another.
 */
static weir_status shown_text(struct whatif *whatif, const char *name, const char *alias,
                              const char *before, char **ret_text, struct weir_error *reterr)
{
    struct weir_arena *arena = &whatif->promotion.arena;
    char *column;
    WEIR_TRY(quoted(arena, name, '"', &column, reterr));
    if (may_show(whatif, name))
        return weir_arena_print(arena, ret_text, reterr, "%s.%s", alias, column);
    if (!before)
        return weir_arena_print(arena, ret_text, reterr, "'***'");
    return weir_arena_print(arena, ret_text, reterr,
                            "CASE WHEN %s.%s IS DISTINCT FROM %s.%s THEN '*** (another)' ELSE "
                            "'***' END",
                            alias, column, before, column);
}

/* {'a': r."a", 'b': '***'} of the columns that both have. */
static weir_status row_text(struct whatif *whatif, const char *alias, const char *before,
                            char **ret_text, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    const struct weir_type *columns = &promotion->columns;
    const char *list = "";
    char *label, *value, *text;
    for (uint32_t i = 0; i < columns->child_count; i++) {
        const char *name = columns->children[i].name;
        if (!has_column(table_columns(promotion), name))
            continue;
        WEIR_TRY(quoted(&promotion->arena, name, '\'', &label, reterr));
        WEIR_TRY(shown_text(whatif, name, alias, before, &value, reterr));
        WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr, "%s: %s", label, value));
        WEIR_TRY(add_text(&promotion->arena, &list, ", ", text, reterr));
    }
    return weir_arena_print(&promotion->arena, ret_text, reterr, "{%s}", list);
}

static weir_status sample(struct whatif *whatif, const char *kind, const char *text,
                          struct weir_error *reterr)
{
    struct path_set rows;
    json_t *list = json_array();
    json_object_set_new(json_object_get(whatif->report, "samples"), kind, list);
    WEIR_TRY(statement_texts(&whatif->promotion, text, &rows, reterr));
    for (size_t i = 0; i < rows.count; i++)
        json_array_append_new(list, json_loads(rows.paths[i], 0, NULL));
    return WEIR_OK;
}

static weir_status key_match(struct whatif *whatif, const char *a, const char *b, const char **ret,
                             struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    const char *list = "";
    char *name, *text;
    for (size_t i = 0; i < promotion->model->key_count; i++) {
        WEIR_TRY(quoted(&promotion->arena, promotion->model->keys[i], '"', &name, reterr));
        WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                                  "%s.%s IS NOT DISTINCT FROM %s.%s", a, name, b, name));
        WEIR_TRY(add_text(&promotion->arena, &list, " AND ", text, reterr));
    }
    *ret = list;
    return WEIR_OK;
}

/* Rows of one of the two, whose key the other has not. */
static weir_status sample_side(struct whatif *whatif, const char *kind, const char *side,
                               const char *other, struct weir_error *reterr)
{
    struct weir_arena *arena = &whatif->promotion.arena;
    char *row, *text, none[] = "", *only = none;
    const char *match;
    WEIR_TRY(row_text(whatif, "r", NULL, &row, reterr));
    if (whatif->keys) {
        WEIR_TRY(key_match(whatif, "o", "r", &match, reterr));
        WEIR_TRY(weir_arena_print(arena, &only, reterr,
                                  " WHERE NOT EXISTS (SELECT 1 FROM %s o WHERE %s)", other, match));
    }
    WEIR_TRY(weir_arena_print(arena, &text, reterr,
                              "SELECT to_json(%s) FROM %s r%s ORDER BY %s "
                              "LIMIT %d",
                              row, side, only, whatif->keys ? whatif->keys : "1", SAMPLE_ROWS));
    return sample(whatif, kind, text, reterr);
}

static weir_status sample_changed(struct whatif *whatif, struct weir_error *reterr)
{
    struct weir_arena *arena = &whatif->promotion.arena;
    char *before, *after, *text;
    const char *match;
    if (!whatif->keys)
        return WEIR_OK;
    WEIR_TRY(row_text(whatif, "g", NULL, &before, reterr));
    WEIR_TRY(row_text(whatif, "a", "g", &after, reterr));
    WEIR_TRY(key_match(whatif, "g", "a", &match, reterr));
    WEIR_TRY(weir_arena_print(arena, &text, reterr,
                              "SELECT to_json({'before': %s, 'after': %s}) FROM weir.gone g JOIN "
                              "weir.add a ON %s LIMIT %d",
                              before, after, match, SAMPLE_ROWS));
    return sample(whatif, "changed", text, reterr);
}

/* ---- gates and sinks ---- */

static const char *verdict(const struct weir_gate *gate, json_int_t rows)
{
    if (rows == 0)
        return "would hold";
    return gate->on_fail == WEIR_ON_FAIL_FAIL   ? "would fail"
           : gate->on_fail == WEIR_ON_FAIL_WARN ? "would warn"
                                                : "would set aside";
}

/* Rows that would be set aside are in no table: they are counted where the SQL gives them. */
static weir_status bad_rows(struct whatif *whatif, const struct weir_gate *gate, char **ret_text,
                            struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    struct weir_arena *arena = &promotion->arena;
    char all[] = "true", *condition = all, *name, *text;
    if (gate->on_fail != WEIR_ON_FAIL_QUARANTINE)
        return weir_arena_print(arena, ret_text, reterr, "%s", gate->bad_rows);
    if (whatif->keyed)
        WEIR_TRY(compute_touched(promotion, "m", &condition, reterr));
    WEIR_TRY(weir_arena_print(arena, &text, reterr,
                              "SELECT %s FROM (SELECT %s FROM weir.model m) m WHERE %s",
                              promotion->column_list, promotion->model_list, condition));
    WEIR_TRY(aside_bad(promotion, text, &text, reterr));
    WEIR_TRY(quoted(arena, gate->name, '\'', &name, reterr));
    return weir_arena_print(arena, ret_text, reterr,
                            "SELECT * FROM (%s) q WHERE position(%s IN checks) > 0", text, name);
}

static weir_status judge(struct whatif *whatif, const struct weir_gate *gate,
                         struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    json_t *counts, *entry, *rows = json_array();
    char *text, *bad;
    weir_status status = bad_rows(whatif, gate, &bad, reterr);
    if (status == WEIR_OK)
        status = weir_arena_print(&promotion->arena, &text, reterr,
                                  "SELECT to_json({'rows': count(*)}) FROM (%s) b", bad);
    if (status == WEIR_OK)
        status = one_object(whatif, text, &counts, reterr);
    if (status != WEIR_OK) {
        json_decref(rows);
        weir_error_prefix(reterr, "%s: expect %s", gate->location, gate->name);
        return status;
    }
    json_int_t count = json_integer_value(json_object_get(counts, "rows"));
    json_decref(counts);
    entry = json_pack("{s:s, s:I, s:s, s:o}", "name", gate->name, "rows", count, "verdict",
                      verdict(gate, count), "sample", rows);
    json_array_append_new(json_object_get(whatif->report, "gates"), entry);
    if (count && gate->on_fail == WEIR_ON_FAIL_FAIL && !whatif->failed) {
        whatif->failed = true;
        (void)!weir_fail(&whatif->first, WEIR_GATE, "%s: expect %s would not hold: %lld rows",
                         promotion->model->table.name, gate->name, (long long)count);
    }
    return count && gate->on_fail != WEIR_ON_FAIL_QUARANTINE
               ? promotion_sample(promotion, gate->bad_rows, rows, reterr)
               : WEIR_OK;
}

/* What a sink of the table would be told. */
static weir_status tell_sink(struct whatif *whatif, const struct weir_sink_config *sink,
                             struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    char *changes, *text;
    json_t *counts;
    weir_status status = weir_sink_changes_sql(sink, &promotion->columns, &promotion->arena,
                                               &changes, reterr);
    if (status == WEIR_OK)
        status = weir_arena_print(
            &promotion->arena, &text, reterr,
            "SELECT to_json({'insert': coalesce(sum(CASE WHEN weir_kind = 0 THEN 1 ELSE 0 END), "
            "0)::bigint, 'update': coalesce(sum(CASE WHEN weir_kind = 1 THEN 1 ELSE 0 END), "
            "0)::bigint, 'delete': coalesce(sum(CASE WHEN weir_kind = 2 THEN 1 ELSE 0 END), "
            "0)::bigint}) FROM (%s) c",
            changes);
    if (status == WEIR_OK)
        status = one_object(whatif, text, &counts, reterr);
    if (status != WEIR_OK) {
        weir_error_prefix(reterr, "%s: sink %s", sink->location, sink->name);
        return status;
    }
    json_object_set_new(counts, "sink", json_string(sink->name));
    json_array_append_new(json_object_get(whatif->report, "sinks"), counts);
    return WEIR_OK;
}

static weir_status tell_sinks(struct whatif *whatif, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    const struct weir_pipeline *pipeline = promotion->options->pipeline;
    name_sql(promotion, "weir.added", "SELECT * FROM weir.new");
    name_sql(promotion, "weir.removed", "SELECT * FROM weir.old");
    for (size_t i = 0; i < pipeline->sink_count; i++) /* by name: the model may be a copy */
        if (strcmp(pipeline->sinks[i].from->name, promotion->model->table.name) == 0)
            WEIR_TRY(tell_sink(whatif, &pipeline->sinks[i], reterr));
    return WEIR_OK;
}

/* ---- all ---- */

/* SQL that does not bind over what is declared, or any more, is no error: nothing is known then. */
static weir_status trace(struct whatif *whatif, const struct weir_pipeline *pipeline,
                         struct weir_graph **ret_graph, struct weir_error *reterr)
{
    struct weir_error error = {0};
    if (!pipeline)
        return WEIR_OK;
    weir_status status = weir_graph_new(whatif->promotion.lake->context, pipeline,
                                        model_find(pipeline, whatif->promotion.model->table.name),
                                        ret_graph, &error);
    if (status != WEIR_NO_MEMORY && status != WEIR_STOPPED)
        return WEIR_OK;
    if (reterr)
        *reterr = error;
    return status;
}

static weir_status look(struct whatif *whatif, struct weir_error *reterr)
{
    struct promotion *promotion = &whatif->promotion;
    WEIR_TRY(promotion_load(promotion, reterr));
    WEIR_TRY(promotion_open(promotion, reterr));
    WEIR_TRY(promotion_bind(promotion, reterr));
    WEIR_TRY(trace(whatif, whatif->asked->pipeline, &whatif->tried, reterr));
    WEIR_TRY(trace(whatif, whatif->asked->standing, &whatif->standing, reterr));
    WEIR_TRY(find_columns(whatif, reterr));
    WEIR_TRY(check_since(whatif, reterr));
    if (whatif->asked->since_ms)
        WEIR_TRY(find_keys(whatif, reterr));
    WEIR_TRY(promotion_names(promotion, promotion->source_count, VARIANT_TO, VARIANT_TO, VARIANT_TO,
                             reterr));
    WEIR_TRY(compare(whatif, reterr));
    WEIR_TRY(name_candidate(whatif, reterr));
    WEIR_TRY(count_rows(whatif, reterr));
    WEIR_TRY(sample_side(whatif, "added", "weir.add", "weir.gone", reterr));
    WEIR_TRY(sample_side(whatif, "removed", "weir.gone", "weir.add", reterr));
    WEIR_TRY(sample_changed(whatif, reterr));
    for (size_t i = 0; i < promotion->model->gate_count; i++)
        WEIR_TRY(judge(whatif, &promotion->model->gates[i], reterr));
    return tell_sinks(whatif, reterr);
}

weir_status weir_promote_whatif(const struct weir_whatif_options *options, json_t **ret_report,
                                struct weir_error *reterr)
{
    const struct weir_model_config *model = options->model;
    struct whatif whatif = {
        .asked = options,
        .options = {
            .lake = options->lake, .pipeline = options->pipeline, .model = model, .by_hand = true}};
    whatif.promotion = (struct promotion){
        .options = &whatif.options, .model = model, .lake = options->lake};
    whatif.report = json_pack("{s:s, s:s, s:{}, s:[], s:[], s:[], s:[]}", "table",
                              model->table.name, "mode", promotion_mode(model->mode), "samples",
                              "columns_added", "columns_removed", "gates", "sinks");
    *ret_report = whatif.report;
    if (!whatif.report)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a report");
    if (model->mode == WEIR_MODEL_VIEW)
        return weir_fail(reterr, WEIR_USAGE, "%s is a view: weir query shows what it gives",
                         model->table.name);
    weir_arena_init(&whatif.promotion.arena, &options->lake->context->memory);
    weir_status status = look(&whatif, reterr);
    weir_graph_free(whatif.tried);
    weir_graph_free(whatif.standing);
    promotion_close(&whatif.promotion);
    if (status == WEIR_OK && whatif.failed) {
        if (reterr)
            *reterr = whatif.first;
        return WEIR_GATE;
    }
    return status;
}
