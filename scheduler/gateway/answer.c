/* Replies as JSON. No value of a record is ever in one: places and what was wanted only. */
#include "scheduler/gateway/gateway_int.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static weir_status put_json(struct weir_buffer *out, json_t *object, struct weir_error *reterr)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return weir_fail(reterr, WEIR_NO_MEMORY, "gateway: no memory for a reply");
    weir_buffer_clear(out);
    weir_status status = weir_buffer_append(out, text, strlen(text), reterr);
    if (status == WEIR_OK)
        status = weir_buffer_append(out, "\n", 1, reterr);
    free(text);
    return status;
}

void answer_text(struct weir_http_request *request, unsigned status, const char *type,
                 const char *text)
{
    request->reply.status = status;
    request->reply.content_type = type;
    weir_buffer_clear(&request->reply.body);
    if (weir_buffer_append(&request->reply.body, text, strlen(text), NULL) != WEIR_OK)
        request->reply.body.size = 0; /* the status says it all the same */
}

void answer_problem(struct weir_http_request *request, const struct problem *problem)
{
    struct weir_http_reply *reply = &request->reply;
    reply->status = problem->status;
    reply->content_type = "application/json";
    reply->retry_after_seconds = problem->retry_after_seconds;
    reply->authenticate = problem->status == 401;
    if (put_json(&reply->body,
                 json_pack("{s:s, s:s}", "error", problem->code, "message", problem->words),
                 NULL) != WEIR_OK)
        reply->body.size = 0;
}

static json_t *error_list(const struct check_result *result)
{
    json_t *errors = json_array();
    for (uint32_t i = 0; i < result->refused_count && i < GATEWAY_ERRORS_MAX; i++) {
        const struct refused *refused = &result->refused[i];
        const char *behind = strstr(refused->message, ": ");
        json_t *error = json_pack("{s:i, s:s, s:s, s:s}", "index", (int)refused->record, "reason",
                                  refused->reason, "message", refused->message, "table",
                                  refused->table);
        /* a decoder's message begins with the path, where there is one */
        if (behind && !memchr(refused->message, ' ', (size_t)(behind - refused->message)))
            json_object_set_new(
                error, "path", json_stringn(refused->message, (size_t)(behind - refused->message)));
        if (refused->position != UINT32_MAX)
            json_object_set_new(error, "position", json_integer(refused->position));
        json_array_append_new(errors, error);
    }
    return errors;
}

static json_t *with_errors(json_t *object, const struct check_result *result)
{
    uint32_t told = result->refused_count < GATEWAY_ERRORS_MAX ? result->refused_count
                                                               : GATEWAY_ERRORS_MAX;
    json_object_set_new(object, "errors", error_list(result));
    json_object_set_new(object, "errors_not_listed", json_integer(result->refused_count - told));
    return object;
}

weir_status answer_taken(struct weir_buffer *out, uint32_t accepted,
                         const struct check_result *result, struct weir_error *reterr)
{
    weir_buffer_clear(out);
    if (result->refused_count == 0)
        return weir_buffer_print(out, reterr, "{\"accepted\":%u,\"refused\":0}\n", accepted);
    json_t *object = json_pack("{s:i, s:i}", "accepted", (int)accepted, "refused",
                               (int)result->refused_count);
    return put_json(out, with_errors(object, result), reterr);
}

weir_status answer_refused(struct weir_http_request *request, const struct check_result *result,
                           uint32_t count, struct weir_error *reterr)
{
    bool foreign = result->foreign;
    json_t *object = json_pack("{s:s, s:s, s:i, s:i}", "error", foreign ? "tenant" : "invalid",
                               "message",
                               foreign ? "records of another tenant; none was taken"
                                       : "records that no table would take; none was taken",
                               "accepted", 0, "records", (int)count);
    json_object_set_new(object, "refused", json_integer(result->refused_count));
    request->reply.status = foreign ? 403 : 422;
    request->reply.content_type = "application/json";
    return put_json(&request->reply.body, with_errors(object, result), reterr);
}
