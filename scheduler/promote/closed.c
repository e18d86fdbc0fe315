/* Sources that retention keeps short. Rows that it dropped did not go, as far as a promotion is
 * concerned; rows that come from before its horizon came too late, and go to {table}__late; and a
 * group that would need rows which are gone is closed: it keeps its value. protocol.md 6.
 *
 * Which groups these are is read from the SQL: one of the keys must be the time by which retention
 * drops, or the start of the hour or day that it is in. Then a group whose key lies at or above the
 * horizon is whole. Nothing else is believed: without such a key a person must say on_closed:
 * recompute, with which groups are computed from what is left. Mode full is what is there, always.
 */
#include "engine/base/text.h"
#include "scheduler/promote/promote_int.h"

#include <string.h>

/* ---- how far ---- */

static bool has_horizon(const struct source *source)
{
    return source->horizon.before != NULL;
}

/* {"column", "before"} into the source's, when it reaches further than what is there. */
static weir_status take_horizon(struct promotion *promotion, struct source *source,
                                const json_t *told, struct weir_error *reterr)
{
    const char *column = json_string_value(json_object_get(told, "column")),
               *before = json_string_value(json_object_get(told, "before"));
    int64_t at, was = INT64_MIN;
    char *text;
    if (!told)
        return WEIR_OK;
    if (!column || !before || !weir_text_timestamptz(before, strlen(before), &at) ||
        strchr(column, '"'))
        return weir_fail(reterr, WEIR_CORRUPT, "weir.horizon of %s is not {\"column\", \"before\"}",
                         source->name);
    if (has_horizon(source) && strcmp(source->horizon.column, column) == 0)
        weir_text_timestamptz(source->horizon.before, strlen(source->horizon.before), &was);
    if (was >= at)
        return WEIR_OK;
    WEIR_TRY(weir_arena_copy(&promotion->arena, column, strlen(column), &text, reterr));
    source->horizon.column = text;
    WEIR_TRY(weir_arena_copy(&promotion->arena, before, strlen(before), &text, reterr));
    source->horizon.before = text;
    WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                              "CAST(\"%s\" AS timestamptz) < TIMESTAMPTZ '%s'", column, before));
    source->horizon.dropped = text;
    return WEIR_OK;
}

weir_status closed_read(struct promotion *promotion, struct source *source,
                        struct weir_error *reterr)
{
    const json_t *reached = json_object_get(promotion->truth, "sources"),
                 *counted = json_object_get(json_object_get(reached, source->key), "horizon");
    json_t *state;
    if (promotion->model->mode == WEIR_MODEL_FULL)
        return WEIR_OK;
    if (!promotion->options->rebuild)
        WEIR_TRY(take_horizon(promotion, source, counted, reterr));
    weir_status status = weir_truth(&promotion->lake->store, &promotion->lake->context->memory,
                                    source->table->metadata, "main", &state, NULL);
    if (status != WEIR_OK) /* a table of others: nothing of ours drops its rows */
        return status == WEIR_NO_MEMORY ? weir_fail(reterr, status, "no memory for a state")
                                        : WEIR_OK;
    status = take_horizon(promotion, source, json_object_get(state, "horizon"), reterr);
    json_decref(state);
    return status;
}

json_t *closed_json(const struct source *source)
{
    return has_horizon(source) ? json_pack("{s:s, s:s}", "column", source->horizon.column, "before",
                                           source->horizon.before)
                               : NULL;
}

/* ---- which rows, which groups ---- */

static weir_status not_told(const struct promotion *promotion, const struct source *source,
                            struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_DECISION,
                                   "%s: retention has dropped rows of %s from before %s, and no "
                                   "key in group_by tells which groups they were in",
                                   promotion->model->table.name, source->name,
                                   source->horizon.before);
    weir_error_hint(
        reterr,
        "group by a time made of %s, as date_trunc('day', %s); or on_closed: recompute: "
        "groups are computed from what is left",
        source->horizon.column, source->horizon.column);
    return status;
}

/* The first key that bounds the source's rows from below. */
static weir_status find_key(struct promotion *promotion, struct source *source,
                            const struct weir_operator *root, struct weir_error *reterr)
{
    char *floor = NULL, *late;
    for (size_t k = 0; k < promotion->model->key_count && !floor; k++) {
        WEIR_TRY(weir_sql_floor(&promotion->arena, root, &source->at_to, source->horizon.column,
                                promotion->keys[k], &floor, reterr));
        source->horizon.key = promotion->columns.children[promotion->keys[k]].name;
    }
    if (!floor)
        return not_told(promotion, source, reterr);
    WEIR_TRY(weir_arena_print(&promotion->arena, &late, reterr,
                              "CAST(%s AS timestamptz) < TIMESTAMPTZ '%s'", floor,
                              source->horizon.before));
    source->horizon.late = late;
    return WEIR_OK;
}

weir_status closed_bind(struct promotion *promotion, struct weir_error *reterr)
{
    struct weir_operator *root = NULL;
    char *text;
    for (size_t i = 0; i < promotion->source_count; i++) {
        struct source *source = &promotion->sources[i];
        if (!has_horizon(source) || promotion->model->from_what_is_left)
            continue;
        if (promotion->model->mode != WEIR_MODEL_RECOMPUTE) {
            source->horizon.late = source->horizon.dropped;
            continue;
        }
        WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr, "SELECT %s FROM weir.model m",
                                  promotion->model_list));
        if (!root)
            WEIR_TRY(
                weir_query_plan(promotion->session, &promotion->arena, text, &root, NULL, reterr));
        WEIR_TRY(find_key(promotion, source, root, reterr));
    }
    return WEIR_OK;
}

weir_status closed_open(struct promotion *promotion, const char *alias, char **ret_condition,
                        struct weir_error *reterr)
{
    char *condition;
    WEIR_TRY(weir_arena_print(&promotion->arena, &condition, reterr, "true"));
    for (size_t i = 0; i < promotion->source_count; i++) {
        const struct source *source = &promotion->sources[i];
        if (source->horizon.key)
            WEIR_TRY(weir_arena_print(
                &promotion->arena, &condition, reterr,
                "%s AND (CAST(%s.\"%s\" AS timestamptz) < TIMESTAMPTZ '%s') IS NOT TRUE", condition,
                alias, source->horizon.key, source->horizon.before));
    }
    *ret_condition = condition;
    return WEIR_OK;
}

weir_status closed_open_key(struct promotion *promotion, const char *alias, char **ret_condition,
                            struct weir_error *reterr)
{
    char *condition;
    WEIR_TRY(weir_arena_print(&promotion->arena, &condition, reterr, "true"));
    for (size_t i = 0; i < promotion->source_count; i++) {
        const struct source *source = &promotion->sources[i];
        if (source->horizon.key)
            WEIR_TRY(weir_arena_print(&promotion->arena, &condition, reterr,
                                      "%s AND (CAST(%s.key::json ->> $key$%s$key$ AS timestamptz) "
                                      "< TIMESTAMPTZ '%s') IS NOT TRUE",
                                      condition, alias, source->horizon.key,
                                      source->horizon.before));
    }
    *ret_condition = condition;
    return WEIR_OK;
}

/* ---- made anew ---- */

static const struct source *shortened(const struct promotion *promotion)
{
    for (size_t i = 0; i < promotion->source_count; i++)
        if (promotion->sources[i].horizon.late)
            return &promotion->sources[i];
    return NULL;
}

/* The table's columns as they are to be; null where it has none yet. */
static weir_status kept_list(struct promotion *promotion, char **ret_list,
                             struct weir_error *reterr)
{
    const struct weir_type *has = &weir_metadata_schema(promotion->table->metadata)->root;
    char none[] = "", *list = none;
    for (uint32_t i = 0; i < promotion->shape.write.child_count; i++) {
        const struct weir_field *field = &promotion->shape.write.children[i];
        bool there = weir_type_child(has, field->name, strlen(field->name)) != NULL;
        WEIR_AUTO(weir_buffer) type = {.account = promotion->arena.account};
        WEIR_TRY(weir_type_print(&field->type, &type, reterr));
        WEIR_TRY(weir_arena_print(&promotion->arena, &list, reterr,
                                  "%s%sCAST(%s%s%s AS %s) AS \"%s\"", list, i ? ", " : "",
                                  there ? "t.\"" : "", there ? field->name : "NULL",
                                  there ? "\"" : "", (const char *)type.data, field->name));
    }
    *ret_list = list;
    return WEIR_OK;
}

weir_status closed_kept(struct promotion *promotion, char **ret_text, struct weir_error *reterr)
{
    const struct source *source = shortened(promotion);
    char *list, *open;
    *ret_text = NULL;
    if (!source || !promotion->table ||
        json_object_size(json_object_get(promotion->truth, "sources")) == 0)
        return WEIR_OK;
    if (promotion->model->mode != WEIR_MODEL_RECOMPUTE) {
        weir_status status = weir_fail(reterr, WEIR_DECISION,
                                       "%s: made anew it would lose what it has of rows of %s from "
                                       "before %s, which retention has dropped",
                                       promotion->model->table.name, source->name,
                                       source->horizon.before);
        weir_error_hint(reterr, "on_closed: recompute makes it from what is left");
        return status;
    }
    WEIR_TRY(promotion_target(promotion, "weir.target", NULL, reterr));
    WEIR_TRY(kept_list(promotion, &list, reterr));
    WEIR_TRY(closed_open(promotion, "t", &open, reterr));
    return weir_arena_print(&promotion->arena, ret_text, reterr,
                            "SELECT %s FROM weir.target t WHERE NOT (%s)", list, open);
}

/* ---- late rows ---- */

weir_status closed_late(struct promotion *promotion, struct weir_error *reterr)
{
    for (size_t i = 0; i < promotion->source_count; i++) {
        const struct source *source = &promotion->sources[i];
        const char *dot = strchr(source->name, '.');
        char *text;
        if (!source->changed || !source->horizon.late || !source->added.operations)
            continue;
        WEIR_TRY(promotion_names(promotion, i, VARIANT_LATE, VARIANT_TO, VARIANT_TO, reterr));
        WEIR_TRY(weir_arena_print(&promotion->arena, &text, reterr,
                                  "SELECT '%s' AS source, to_json(s) AS record FROM "
                                  "\"%.*s\".\"%s\" s",
                                  source->name, (int)(dot - source->name), source->name, dot + 1));
        WEIR_TRY(aside_write(promotion, &promotion->late, text, reterr));
    }
    return WEIR_OK;
}
