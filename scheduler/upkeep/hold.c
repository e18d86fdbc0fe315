/* Holds: a table whose rows must not go while a case is open, whatever its rules say. A hold is an
 * object in the lake, `_weir/holds/{table}/{case}.json`, made once and never changed; its release
 * is another beside it, with who did it and why. Every action that deletes asks before it begins.
 */
#include "engine/base/text.h"
#include "scheduler/upkeep/upkeep_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct holds {
    struct weir_lake *lake;
    json_t *names; /* object: name in the store -> true */
};

static weir_status note_name(void *argument, const struct weir_object_info *info)
{
    struct holds *holds = argument;
    return json_object_set_new(holds->names, info->name, json_true()) == 0 ? WEIR_OK
                                                                           : WEIR_NO_MEMORY;
}

static weir_status read_object(struct weir_lake *lake, const char *name, json_t **ret_object,
                               struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) text = {.account = &lake->context->memory};
    WEIR_TRY(
        lake->store.operations->get(lake->store.self, name, 0, UINT64_MAX, &text, NULL, reterr));
    *ret_object = json_loadb((const char *)text.data, text.size, 0, NULL);
    return *ret_object ? WEIR_OK : weir_fail(reterr, WEIR_CORRUPT, "%s is no hold", name);
}

static bool is_over(const struct weir_lake *lake, const json_t *hold)
{
    const char *until = json_string_value(json_object_get(hold, "until"));
    int64_t at;
    return until && weir_text_timestamptz(until, strlen(until), &at) &&
           weir_now_ms(lake->context) * 1000 >= at;
}

/* One hold with what became of it: "state". */
static weir_status add_row(const struct holds *holds, const char *name, json_t *rows,
                           struct weir_error *reterr)
{
    char released[1100];
    json_t *hold;
    size_t size = strlen(name);
    if (size < 5 || strcmp(name + size - 5, ".json") != 0 || strstr(name, ".released.json"))
        return WEIR_OK;
    snprintf(released, sizeof released, "%.*s.released.json", (int)(size - 5), name);
    WEIR_TRY(read_object(holds->lake, name, &hold, reterr));
    const char *state = json_object_get(holds->names, released) ? "released"
                        : is_over(holds->lake, hold)            ? "over"
                                                                : "holds";
    json_object_set_new(hold, "state", json_string(state));
    return json_array_append_new(rows, hold) == 0
               ? WEIR_OK
               : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for holds");
}

weir_status weir_hold_list(struct weir_lake *lake, const char *table, json_t **ret_rows,
                           struct weir_error *reterr)
{
    struct holds holds = {lake, json_object()};
    char prefix[WEIR_NAME_SIZE_MAX + 64];
    const char *name;
    json_t *value, *rows = json_array();
    snprintf(prefix, sizeof prefix, "_weir/holds/%.*s%s", (int)WEIR_NAME_SIZE_MAX,
             table ? table : "", table ? "/" : "");
    weir_status status = holds.names && rows
                             ? lake->store.operations->list(lake->store.self, prefix, note_name,
                                                            &holds, reterr)
                             : weir_fail(reterr, WEIR_NO_MEMORY, "no memory for holds");
    json_object_foreach(holds.names, name, value)
    {
        if (status == WEIR_OK)
            status = add_row(&holds, name, rows, reterr);
    }
    json_decref(holds.names);
    if (status == WEIR_OK)
        *ret_rows = rows;
    else
        json_decref(rows);
    return status;
}

static weir_status check_case(const char *what, struct weir_error *reterr)
{
    size_t size = what ? strlen(what) : 0;
    if (size && size <= 100 &&
        strspn(what, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == size)
        return WEIR_OK;
    return weir_fail(reterr, WEIR_USAGE,
                     "a case is of letters, digits, '_' and '-', at most 100 of them");
}

static weir_status put(struct weir_lake *lake, const char *name, json_t *object,
                       struct weir_error *reterr)
{
    char *text = object ? json_dumps(object, JSON_INDENT(1)) : NULL;
    json_decref(object);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a hold");
    weir_status status = lake->store.operations->put(lake->store.self, name, text, strlen(text),
                                                     WEIR_PUT_IF_ABSENT, NULL, NULL, reterr);
    free(text);
    return status;
}

weir_status weir_hold_set(struct weir_lake *lake, const char *table, const char *what,
                          const char *until, struct weir_error *reterr)
{
    char name[WEIR_NAME_SIZE_MAX + 200], now[48];
    int64_t at;
    WEIR_TRY(check_case(what, reterr));
    if (until && !weir_text_timestamptz(until, strlen(until), &at))
        return weir_fail(reterr, WEIR_USAGE, "--until %.60s: a time such as 2027-01-31T00:00:00Z",
                         until);
    now[weir_print_timestamptz(now, weir_now_ms(lake->context) * 1000)] = '\0';
    snprintf(name, sizeof name, "_weir/holds/%.*s/%s.json", (int)WEIR_NAME_SIZE_MAX, table, what);
    weir_status status = put(lake, name,
                             json_pack("{s:s, s:s, s:s, s:s?, s:s, s:s?}", "table", table, "case",
                                       what, "by", lake->actor ? lake->actor : "", "reason",
                                       lake->reason, "set", now, "until", until),
                             reterr);
    if (status == WEIR_PRECONDITION)
        return weir_fail(reterr, WEIR_USAGE, "%s has had a hold for case %s: name another case",
                         table, what);
    return status;
}

weir_status weir_hold_release(struct weir_lake *lake, const char *table, const char *what,
                              struct weir_error *reterr)
{
    char name[WEIR_NAME_SIZE_MAX + 200], now[48];
    struct weir_object_info info;
    WEIR_TRY(check_case(what, reterr));
    snprintf(name, sizeof name, "_weir/holds/%.*s/%s.json", (int)WEIR_NAME_SIZE_MAX, table, what);
    weir_status status = lake->store.operations->head(lake->store.self, name, &info, reterr);
    if (status == WEIR_NOT_FOUND)
        return weir_fail(reterr, WEIR_USAGE, "%s has no hold for case %s", table, what);
    WEIR_TRY(status);
    now[weir_print_timestamptz(now, weir_now_ms(lake->context) * 1000)] = '\0';
    snprintf(name, sizeof name, "_weir/holds/%.*s/%s.released.json", (int)WEIR_NAME_SIZE_MAX, table,
             what);
    status = put(lake, name,
                 json_pack("{s:s, s:s, s:s, s:s?, s:s}", "table", table, "case", what, "by",
                           lake->actor ? lake->actor : "", "reason", lake->reason, "released", now),
                 reterr);
    return status == WEIR_PRECONDITION ? WEIR_OK : status; /* released already */
}

weir_status upkeep_held(const struct weir_upkeep_options *options, char ret_case[128],
                        struct weir_error *reterr)
{
    json_t *rows, *row;
    size_t at;
    *ret_case = '\0';
    WEIR_TRY(weir_hold_list(options->lake, options->table->name, &rows, reterr));
    json_array_foreach(rows, at, row)
    {
        const char *state = json_string_value(json_object_get(row, "state")),
                   *what = json_string_value(json_object_get(row, "case"));
        if (!*ret_case && state && strcmp(state, "holds") == 0)
            snprintf(ret_case, 128, "%.120s", what ? what : "?");
    }
    json_decref(rows);
    return WEIR_OK;
}
