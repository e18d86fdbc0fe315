/* What a promotion changes: the statements of each mode. Over tables in memory that are made on the
 * way:
 *   weir.keys   keys that changed rows touch          weir.cand   what changed rows give (merge)
 *   weir.new    what the table must hold of these     weir.old    what it holds of them
 *   weir.add = new - old, weir.gone = old - new
 * Rows that checks set aside are taken out first (aside.c).
 * Files that hold a row of weir.gone are written anew without it; weir.add goes with them. A table
 * that would stay as it is is not touched. */
#include "scheduler/promote/promote_int.h"

#include <string.h>

/* ---- texts ---- */

/* "a", "b" of the keys, each behind `prefix`. */
static weir_status key_list(struct promotion *promotion, const char *prefix, char **ret_list,
                            struct weir_error *reterr)
{
    char none[] = "", *list = none;
    for (size_t i = 0; i < promotion->model->key_count; i++)
        WEIR_TRY(weir_arena_print(&promotion->arena, &list, reterr, "%s%s%s\"%s\"", list,
                                  i ? ", " : "", prefix, promotion->model->keys[i]));
    *ret_list = list;
    return WEIR_OK;
}

/* A condition: the row `alias` has its key in the table. */
static weir_status key_match(struct promotion *promotion, const char *alias, const char *table,
                             char **ret_condition, struct weir_error *reterr)
{
    char none[] = "", *list = none;
    for (size_t i = 0; i < promotion->model->key_count; i++)
        WEIR_TRY(weir_arena_print(
            &promotion->arena, &list, reterr, "%s%sk.\"%s\" IS NOT DISTINCT FROM %s.\"%s\"", list,
            i ? " AND " : "", promotion->model->keys[i], alias, promotion->model->keys[i]));
    return weir_arena_print(&promotion->arena, ret_condition, reterr,
                            "EXISTS (SELECT 1 FROM %s k WHERE %s)", table, list);
}

/* Between which values the keys lie, where that may let a scan skip files: the semi-join alone is
 * not carried through functions such as date_trunc. Nulls among them: no condition. */
static bool has_range(const struct weir_type *type)
{
    return type->id == WEIR_INT || type->id == WEIR_LONG || type->id == WEIR_DATE ||
           type->id == WEIR_TIMESTAMP || type->id == WEIR_TIMESTAMPTZ || type->id == WEIR_DECIMAL;
}

static weir_status key_range(struct promotion *promotion, uint32_t column, const char *alias,
                             char **ret_condition, struct weir_error *reterr)
{
    struct weir_arena *arena = &promotion->arena;
    const struct weir_field *field = &promotion->columns.children[column];
    WEIR_AUTO(weir_buffer) type = {.account = &promotion->lake->context->memory};
    struct path_set range;
    char *text;
    *ret_condition = NULL;
    WEIR_TRY(weir_arena_print(arena, &text, reterr,
                              "SELECT concat(min(\"%s\")::text, '|', max(\"%s\")::text) FROM "
                              "weir.keys HAVING count(*) = count(\"%s\") AND count(*) > 0",
                              field->name, field->name, field->name));
    WEIR_TRY(statement_texts(promotion, text, &range, reterr));
    const char *bar = range.count ? strchr(range.paths[0], '|') : NULL;
    if (!bar)
        return WEIR_OK;
    WEIR_TRY(weir_type_print(&field->type, &type, reterr));
    return weir_arena_print(arena, ret_condition, reterr,
                            " AND %s.\"%s\" BETWEEN CAST('%.*s' AS %s) AND CAST('%s' AS %s)", alias,
                            field->name, (int)(bar - range.paths[0]), range.paths[0],
                            (const char *)type.data, bar + 1, (const char *)type.data);
}

/* A condition: the row `alias` has a key among weir.keys. */
static weir_status touched(struct promotion *promotion, const char *alias, char **ret_condition,
                           struct weir_error *reterr)
{
    char *condition, *range;
    WEIR_TRY(key_match(promotion, alias, "weir.keys", &condition, reterr));
    for (size_t i = 0; i < promotion->model->key_count; i++) {
        uint32_t column = promotion->keys[i];
        if (!has_range(&promotion->columns.children[column].type))
            continue;
        WEIR_TRY(key_range(promotion, column, alias, &range, reterr));
        if (range)
            WEIR_TRY(
                weir_arena_print(&promotion->arena, &condition, reterr, "%s%s", condition, range));
    }
    *ret_condition = condition;
    return WEIR_OK;
}

/* merge: of rows with the same key the first, unless it says that it goes. */
static weir_status winners(struct promotion *promotion, const char *rows, char **ret_text,
                           struct weir_error *reterr)
{
    const struct weir_model_config *model = promotion->model;
    char none[] = "", *keys, *order = none, *text;
    if (model->mode != WEIR_MODEL_MERGE)
        return weir_arena_print(&promotion->arena, ret_text, reterr, "%s", rows);
    WEIR_TRY(key_list(promotion, "", &keys, reterr));
    for (size_t i = 0; i < model->order_count; i++)
        WEIR_TRY(weir_arena_print(&promotion->arena, &order, reterr, "%s, %s", order,
                                  model->order_by[i]));
    WEIR_TRY(
        weir_arena_print(&promotion->arena, &text, reterr,
                         "SELECT %s FROM (SELECT DISTINCT ON (%s) * FROM (%s) r ORDER BY %s%s) w",
                         promotion->column_list, keys, rows, keys, order));
    if (!model->delete_when)
        return weir_arena_print(&promotion->arena, ret_text, reterr, "%s", text);
    return weir_arena_print(&promotion->arena, ret_text, reterr, "%s WHERE (%s) IS NOT TRUE", text,
                            model->delete_when);
}

static weir_status sorted(struct promotion *promotion, const char *rows, char **ret_text,
                          struct weir_error *reterr)
{
    const struct weir_table_config *table = &promotion->config;
    char none[] = "", *order = none;
    for (size_t i = 0; i < table->sort_count; i++)
        WEIR_TRY(weir_arena_print(&promotion->arena, &order, reterr, "%s%s\"%s\"%s%s", order,
                                  i ? ", " : "", table->sort_by[i].path,
                                  table->sort_by[i].descending ? " DESC" : "",
                                  table->sort_by[i].nulls_first ? " NULLS FIRST" : " NULLS LAST"));
    return *order ? weir_arena_print(&promotion->arena, ret_text, reterr,
                                     "SELECT * FROM (%s) s ORDER BY %s", rows, order)
                  : weir_arena_print(&promotion->arena, ret_text, reterr, "%s", rows);
}

/* ---- modes ---- */

/* Made anew, but for groups that would need rows which are gone: `kept` has these. */
static weir_status whole_rows(struct promotion *promotion, const char *kept, char **ret_given,
                              char **ret_text, struct weir_error *reterr)
{
    struct weir_arena *arena = &promotion->arena;
    char *open, *text;
    const char *list = promotion->column_list;
    WEIR_TRY(weir_arena_print(arena, ret_given, reterr, "SELECT %s FROM weir.model m",
                              promotion->model_list));
    if (kept) {
        WEIR_TRY(closed_open(promotion, "m", &open, reterr));
        WEIR_TRY(weir_arena_print(arena, ret_given, reterr, "SELECT %s FROM (%s) m WHERE %s", list,
                                  *ret_given, open));
    }
    WEIR_TRY(aside_good(promotion, *ret_given, &text, reterr));
    WEIR_TRY(winners(promotion, text, &text, reterr));
    if (kept)
        WEIR_TRY(weir_arena_print(arena, &text, reterr, "SELECT %s FROM (%s) m UNION ALL %s", list,
                                  text, kept));
    return sorted(promotion, text, ret_text, reterr);
}

static weir_status whole_table(struct promotion *promotion, struct weir_error *reterr)
{
    char *text, *given, *kept;
    promotion->replace_all = true;
    WEIR_TRY(promotion_names(promotion, promotion->source_count, VARIANT_TO, VARIANT_TO, VARIANT_TO,
                             reterr));
    WEIR_TRY(closed_kept(promotion, &kept, reterr));
    WEIR_TRY(whole_rows(promotion, kept, &given, &text, reterr));
    WEIR_TRY(statement_write(promotion, text, reterr));
    if (!aside_concerns(promotion))
        return WEIR_OK;
    WEIR_TRY(aside_replace(promotion, reterr));
    if (kept)
        WEIR_TRY(aside_keep(promotion, reterr));
    if (!promotion->model->aside_count)
        return WEIR_OK;
    WEIR_TRY(aside_bad(promotion, given, &text, reterr));
    return aside_write(promotion, &promotion->aside, text, reterr);
}

static weir_status count_rows(void *self, const struct weir_batch *batch, struct weir_error *reterr)
{
    (void)reterr;
    *(uint64_t *)self += batch->count;
    return WEIR_OK;
}

/* Rows that left the source cannot leave an appended table. */
static weir_status nothing_went(struct promotion *promotion, size_t index,
                                struct weir_error *reterr)
{
    char *text, *quoted = NULL;
    uint64_t went = 0;
    const char *name = promotion->sources[index].name;
    if (!promotion->sources[index].removed.operations)
        return WEIR_OK;
    WEIR_TRY(promotion_names(promotion, index, VARIANT_WENT, VARIANT_TO, VARIANT_TO, reterr));
    const char *dot = strchr(name, '.');
    WEIR_TRY(weir_arena_print(&promotion->arena, &quoted, reterr, "\"%.*s\".\"%s\"",
                              (int)(dot - name), name, dot + 1));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr, "SELECT 1 FROM %s", quoted));
    WEIR_TRY(statement_run(promotion, text, true, count_rows, &went, reterr));
    if (went == 0)
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_DECISION,
                                   "%s: %llu rows left %s since it was promoted, and mode append "
                                   "cannot take them back",
                                   promotion->model->table.name, (unsigned long long)went, name);
    weir_error_hint(reterr, "weir promote %s --rebuild makes the table anew",
                    promotion->model->table.name);
    return status;
}

/* Read by a check that sets rows aside: which rows it touches is not known from the SQL. */
static bool is_checked_against(const struct promotion *promotion, const struct source *source)
{
    const struct weir_model_config *model = promotion->model;
    for (size_t i = 0; i < model->gate_count; i++)
        if (model->gates[i].on_fail == WEIR_ON_FAIL_QUARANTINE && model->gates[i].other &&
            strcmp(model->gates[i].other, source->name) == 0)
            return true;
    return false;
}

/* Rows are judged once, as they come. */
static weir_status append(struct promotion *promotion, struct weir_error *reterr)
{
    char *text, *given, *bad = NULL;
    WEIR_TRY(weir_arena_print(&promotion->arena, &given, reterr, "SELECT %s FROM weir.model m",
                              promotion->model_list));
    WEIR_TRY(aside_good(promotion, given, &text, reterr));
    WEIR_TRY(sorted(promotion, text, &text, reterr));
    if (promotion->model->aside_count)
        WEIR_TRY(aside_bad(promotion, given, &bad, reterr));
    for (size_t i = 0; i < promotion->source_count; i++) {
        if (!promotion->sources[i].changed || is_checked_against(promotion, &promotion->sources[i]))
            continue;
        WEIR_TRY(nothing_went(promotion, i, reterr));
        WEIR_TRY(promotion_names(promotion, i, VARIANT_ADDED, VARIANT_TO, VARIANT_FROM, reterr));
        promotion->part = &promotion->sources[i];
        weir_status status = statement_write(promotion, text, reterr);
        if (status == WEIR_OK && bad)
            status = aside_write(promotion, &promotion->aside, bad, reterr);
        promotion->part = NULL;
        WEIR_TRY(status);
    }
    return WEIR_OK;
}

/* What the changed rows tell of this mode: everything = nothing; candidates = the new rows whole.
 */
static weir_status ask_reach(struct promotion *promotion, bool *ret_everything,
                             bool *ret_candidates, struct weir_error *reterr)
{
    const struct weir_model_config *model = promotion->model;
    struct weir_operator *root;
    char *text;
    bool everything = false,
         candidates = model->mode == WEIR_MODEL_MERGE && model->delete_when == NULL;
    WEIR_AUTO(weir_arena) arena;
    weir_arena_init(&arena, &promotion->lake->context->memory);
    WEIR_TRY(promotion_names(promotion, promotion->source_count, VARIANT_TO, VARIANT_TO, VARIANT_TO,
                             reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr, "SELECT %s FROM weir.model m",
                              promotion->model_list));
    WEIR_TRY(model_failed(
        model, weir_query_plan(promotion->session, &arena, text, &root, NULL, reterr), reterr));
    for (size_t i = 0; i < promotion->source_count; i++) {
        const struct source *source = &promotion->sources[i];
        if (!source->changed)
            continue;
        enum weir_reach reach = weir_sql_reach(root, &source->at_to, promotion->keys,
                                               (uint32_t)model->key_count);
        everything |= reach == WEIR_REACH_ALL || is_checked_against(promotion, source);
        candidates &= reach <= WEIR_REACH_ROWS && !source->removed.operations;
    }
    *ret_everything = everything;
    *ret_candidates = candidates;
    return WEIR_OK;
}

static weir_status touched_keys(struct promotion *promotion, struct weir_error *reterr)
{
    char *keys, *open, *text;
    WEIR_TRY(key_list(promotion, "m.", &keys, reterr));
    WEIR_TRY(closed_open(promotion, "m", &open, reterr));
    /* cast as the table's columns are; closed groups are not among them */
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT DISTINCT %s FROM (SELECT %s FROM weir.model m) m WHERE %s",
                              keys, promotion->model_list, open));
    for (size_t i = 0; i < promotion->source_count; i++) {
        if (!promotion->sources[i].changed)
            continue;
        WEIR_TRY(
            promotion_names(promotion, i, VARIANT_TOUCHED, VARIANT_EVER, VARIANT_EVER, reterr));
        promotion->part = &promotion->sources[i];
        weir_status status = statement_keep(promotion, "weir.keys", text, false, NULL, reterr);
        promotion->part = NULL;
        WEIR_TRY(status);
    }
    return promotion_names(promotion, promotion->source_count, VARIANT_TO, VARIANT_TO, VARIANT_TO,
                           reterr);
}

/* The rows that come, whole, and their keys. */
static weir_status candidate_keys(struct promotion *promotion, struct weir_error *reterr)
{
    char *text, *given, *bad = NULL, *keys;
    uint64_t rows = 0;
    WEIR_TRY(weir_arena_print(&promotion->arena, &given, reterr, "SELECT %s FROM weir.model m",
                              promotion->model_list));
    WEIR_TRY(aside_good(promotion, given, &text, reterr));
    if (promotion->model->aside_count)
        WEIR_TRY(aside_bad(promotion, given, &bad, reterr));
    for (size_t i = 0; i < promotion->source_count; i++) {
        if (!promotion->sources[i].changed)
            continue;
        WEIR_TRY(promotion_names(promotion, i, VARIANT_ADDED, VARIANT_TO, VARIANT_FROM, reterr));
        promotion->part = &promotion->sources[i];
        weir_status status = statement_keep(promotion, "weir.cand", text, true, NULL, reterr);
        if (status == WEIR_OK && bad)
            status = statement_keep(promotion, "weir.qadd", bad, true, &rows, reterr);
        promotion->part = NULL;
        promotion->aside.rows += (int64_t)rows;
        WEIR_TRY(status);
    }
    if (promotion->aside.rows)
        WEIR_TRY(aside_write(promotion, &promotion->aside, "SELECT * FROM weir.qadd", reterr));
    WEIR_TRY(key_list(promotion, "", &keys, reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr, "SELECT DISTINCT %s FROM weir.cand",
                              keys));
    return statement_keep(promotion, "weir.keys", text, true, NULL, reterr);
}

static weir_status old_rows(struct promotion *promotion, bool everything, struct weir_error *reterr)
{
    char *text, *match;
    WEIR_TRY(promotion_target(promotion, "weir.target", NULL, reterr));
    WEIR_TRY(everything ? closed_open(promotion, "t", &match, reterr)
                        : touched(promotion, "t", &match, reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT %s, _file FROM weir.target t WHERE %s",
                              promotion->column_list, match));
    return statement_keep(promotion, "weir.old", text, true, NULL, reterr);
}

/* From the rows that come and the old ones; or from the sources as they are. */
static weir_status new_rows(struct promotion *promotion, bool everything, bool candidates,
                            struct weir_error *reterr)
{
    char *text, *match;
    const char *list = promotion->column_list;
    if (candidates) {
        WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                                  "SELECT %s FROM weir.cand UNION ALL SELECT %s FROM weir.old",
                                  list, list));
    } else {
        WEIR_TRY(everything ? closed_open(promotion, "m", &match, reterr)
                            : touched(promotion, "m", &match, reterr));
        WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                                  "SELECT %s FROM (SELECT %s FROM weir.model m) m WHERE %s", list,
                                  promotion->model_list, match));
        WEIR_TRY(aside_change(promotion, text, everything, reterr));
        WEIR_TRY(aside_good(promotion, text, &text, reterr));
    }
    WEIR_TRY(winners(promotion, text, &text, reterr));
    return statement_keep(promotion, "weir.new", text, true, NULL, reterr);
}

static weir_status difference(struct promotion *promotion, uint64_t *ret_add, uint64_t *ret_gone,
                              struct weir_error *reterr)
{
    char *text;
    const char *list = promotion->column_list;
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT %s FROM weir.new EXCEPT ALL SELECT %s FROM weir.old", list,
                              list));
    WEIR_TRY(statement_keep(promotion, "weir.add", text, true, ret_add, reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT %s FROM weir.old EXCEPT ALL SELECT %s FROM weir.new", list,
                              list));
    return statement_keep(promotion, "weir.gone", text, true, ret_gone, reterr);
}

/* Files that hold a row that goes; their other rows stay. */
static weir_status rewrite(struct promotion *promotion, struct weir_error *reterr)
{
    char *text, *match;
    const char *list = promotion->column_list;
    WEIR_TRY(key_match(promotion, "o", "weir.gone", &match, reterr));
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT DISTINCT _file FROM weir.old o WHERE %s", match));
    WEIR_TRY(statement_texts(promotion, text, &promotion->rewritten, reterr));
    promotion->removed = promotion->rewritten.paths;
    promotion->removed_count = promotion->rewritten.count;
    WEIR_TRY(promotion_target(promotion, "weir.files", &promotion->rewritten, reterr));
    WEIR_TRY(weir_arena_print(
        &promotion->arena, &text, reterr,
        "(SELECT %s FROM weir.files EXCEPT ALL SELECT %s FROM weir.gone) UNION ALL "
        "SELECT %s FROM weir.add",
        list, list, list));
    WEIR_TRY(sorted(promotion, text, &text, reterr));
    return statement_write(promotion, text, reterr);
}

/* Sources have moved on, and no row with them: files were put together, offsets noted. */
static bool only_moved(const struct promotion *promotion)
{
    for (size_t i = 0; i < promotion->source_count; i++) {
        const struct source *source = &promotion->sources[i];
        const struct weir_difference *difference = &source->difference;
        if (source->changed && (!source->table || difference->deletes || difference->added_count ||
                                difference->removed_count))
            return false;
    }
    return true;
}

static weir_status change(struct promotion *promotion, bool *ret_nothing, struct weir_error *reterr)
{
    bool everything, candidates;
    uint64_t add, gone;
    char *text;
    WEIR_TRY(ask_reach(promotion, &everything, &candidates, reterr));
    candidates = candidates && !everything;
    *ret_nothing = !everything && only_moved(promotion);
    if (*ret_nothing)
        return WEIR_OK;
    if (!everything)
        WEIR_TRY(candidates ? candidate_keys(promotion, reterr) : touched_keys(promotion, reterr));
    WEIR_TRY(old_rows(promotion, everything, reterr));
    WEIR_TRY(new_rows(promotion, everything, candidates, reterr));
    WEIR_TRY(difference(promotion, &add, &gone, reterr));
    promotion->rows_removed = (int64_t)gone;
    *ret_nothing = add == 0 && gone == 0;
    if (*ret_nothing)
        return WEIR_OK;
    if (gone)
        return rewrite(promotion, reterr);
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr, "SELECT %s FROM weir.add",
                              promotion->column_list));
    WEIR_TRY(sorted(promotion, text, &text, reterr));
    return statement_write(promotion, text, reterr);
}

weir_status promotion_compute(struct promotion *promotion, bool *ret_nothing,
                              struct weir_error *reterr)
{
    *ret_nothing = false;
    WEIR_TRY(closed_late(promotion, reterr));
    if (promotion->first || promotion->model->mode == WEIR_MODEL_FULL)
        WEIR_TRY(whole_table(promotion, reterr));
    else if (promotion->model->mode == WEIR_MODEL_APPEND)
        WEIR_TRY(append(promotion, reterr));
    else
        WEIR_TRY(change(promotion, ret_nothing, reterr));
    if (promotion->writer)
        WEIR_TRY(weir_table_writer_finish(promotion->writer, &promotion->files, reterr));
    return aside_finish(promotion, reterr);
}

/* ---- for whatif.c ---- */

weir_status compute_keys(struct promotion *promotion, bool *ret_everything,
                         struct weir_error *reterr)
{
    bool candidates;
    WEIR_TRY(ask_reach(promotion, ret_everything, &candidates, reterr));
    return *ret_everything ? WEIR_OK : touched_keys(promotion, reterr);
}

weir_status compute_touched(struct promotion *promotion, const char *alias, char **ret_condition,
                            struct weir_error *reterr)
{
    return touched(promotion, alias, ret_condition, reterr);
}

weir_status compute_rows(struct promotion *promotion, const char *condition, char **ret_text,
                         struct weir_error *reterr)
{
    char *text;
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "SELECT %s FROM (SELECT %s FROM weir.model m) m WHERE %s",
                              promotion->column_list, promotion->model_list, condition));
    WEIR_TRY(aside_good(promotion, text, &text, reterr));
    return winners(promotion, text, ret_text, reterr);
}
