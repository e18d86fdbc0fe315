/* How far a sink has come, kept in the lake: one small object, replaced only by who read it. */
#include "scheduler/sink/sink_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void cursor_name(char *ret_name, size_t size, const char *sink)
{
    snprintf(ret_name, size, "_weir/sinks/%.200s/cursor.json", sink);
}

static void take_text(char *ret_text, size_t size, const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    snprintf(ret_text, size, "%s", text ? text : "");
}

static int64_t take_whole(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static const char *const kinds[] = {"insert", "update", "delete"};

static bool parse(const json_t *json, struct cursor *cursor)
{
    const json_t *step = json_object_get(json, "step"),
                 *delivered = json_object_get(json, "delivered");
    if (!json_is_string(json_object_get(json, "uuid")) ||
        !json_is_integer(json_object_get(json, "reached")))
        return false;
    if (take_whole(json, "version") < 0 || take_whole(json, "version") > INT64_MAX / 2 ||
        take_whole(step, "version") < 0 || take_whole(step, "version") > INT64_MAX / 2 ||
        take_whole(step, "done") < 0)
        return false;
    take_text(cursor->uuid, sizeof cursor->uuid, json, "uuid");
    cursor->reached = take_whole(json, "reached");
    cursor->version = take_whole(json, "version");
    cursor->step.to = take_whole(step, "to");
    cursor->step.version = take_whole(step, "version");
    cursor->step.done = take_whole(step, "done");
    cursor->step.stuck = take_whole(step, "stuck");
    take_text(cursor->step.definition, sizeof cursor->step.definition, step, "definition");
    for (int i = 0; i < 3; i++)
        cursor->delivered[i] = take_whole(delivered, kinds[i]);
    cursor->dead = take_whole(json, "dead");
    cursor->aged = take_whole(json, "aged");
    return true;
}

weir_status cursor_read(struct weir_lake *lake, const char *sink, struct cursor *ret_cursor,
                        struct weir_error *reterr)
{
    char name[400];
    struct weir_object_info info;
    struct cursor cursor = {0};
    WEIR_AUTO(weir_buffer) text = {.account = &lake->context->memory};
    cursor_name(name, sizeof name, sink);
    weir_status status = lake->store.operations->get(lake->store.self, name, 0, UINT64_MAX, &text,
                                                     &info, reterr);
    if (status == WEIR_NOT_FOUND) {
        *ret_cursor = cursor;
        return WEIR_OK;
    }
    WEIR_TRY(status);
    json_t *json = json_loadb((const char *)text.data, text.size, 0, NULL);
    bool good = json && parse(json, &cursor);
    json_decref(json);
    if (!good) {
        status = weir_fail(reterr, WEIR_DECISION, "%s is no cursor of a sink", name);
        weir_error_hint(reterr, "weir sinks reset %s earliest (or latest) writes a new one", sink);
        return status;
    }
    memcpy(cursor.etag, info.etag, sizeof cursor.etag);
    *ret_cursor = cursor;
    return WEIR_OK;
}

static json_t *render(const struct weir_lake *lake, const struct weir_sink_config *config,
                      const struct cursor *cursor)
{
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:{s:I, s:I, s:I}, s:I, s:I, s:s, s:I}", "sink", config->name,
        "table", config->from->name, "uuid", cursor->uuid, "reached", (json_int_t)cursor->reached,
        "version", (json_int_t)cursor->version, "delivered", kinds[0],
        (json_int_t)cursor->delivered[0], kinds[1], (json_int_t)cursor->delivered[1], kinds[2],
        (json_int_t)cursor->delivered[2], "dead", (json_int_t)cursor->dead, "aged",
        (json_int_t)cursor->aged, "run", lake->run_id, "updated_ms",
        (json_int_t)weir_now_ms(lake->context));
    if (json && cursor->step.to)
        json_object_set_new(
            json, "step",
            json_pack("{s:I, s:I, s:I, s:I, s:s}", "to", (json_int_t)cursor->step.to, "version",
                      (json_int_t)cursor->step.version, "done", (json_int_t)cursor->step.done,
                      "stuck", (json_int_t)cursor->step.stuck, "definition",
                      cursor->step.definition));
    return json;
}

/* After a lost answer what lies there decides: the text carries this run and the time. A no may be
 * the answer to a request that was sent twice. */
static weir_status settle(struct weir_lake *lake, const char *name, const char *text,
                          weir_status status, char ret_etag[WEIR_ETAG_SIZE],
                          struct weir_error *reterr)
{
    struct weir_object_info info;
    WEIR_AUTO(weir_buffer) there = {.account = &lake->context->memory};
    weir_status found = lake->store.operations->get(lake->store.self, name, 0, UINT64_MAX, &there,
                                                    &info, NULL);
    if (found == WEIR_OK && there.size == strlen(text) &&
        memcmp(there.data, text, there.size) == 0) {
        memcpy(ret_etag, info.etag, WEIR_ETAG_SIZE);
        return WEIR_OK;
    }
    if (status == WEIR_PRECONDITION)
        weir_error_prefix(reterr, "another run is at this sink");
    return status;
}

weir_status cursor_save(struct weir_lake *lake, const struct weir_sink_config *config,
                        struct cursor *cursor, struct weir_error *reterr)
{
    char name[400];
    cursor_name(name, sizeof name, config->name);
    json_t *json = render(lake, config, cursor);
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "no memory for a cursor");
    weir_status status = lake->store.operations->put(
        lake->store.self, name, text, strlen(text),
        *cursor->etag ? WEIR_PUT_IF_MATCH : WEIR_PUT_IF_ABSENT, cursor->etag, cursor->etag, reterr);
    if (status == WEIR_PRECONDITION || status == WEIR_UNKNOWN_OUTCOME)
        status = settle(lake, name, text, status, cursor->etag, reterr);
    free(text);
    cursor->saved_ms = weir_steady_ms(lake->context);
    return status;
}
