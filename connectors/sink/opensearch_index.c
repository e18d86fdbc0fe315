/* Before the first delivery: the index is there, is one index, and takes our rows; or is made. */
#include "connectors/sink/opensearch_int.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_SIZE_MAX (64u << 20) /* settings and mappings of an index, or of an alias's many */
#define ROUNDS_MAX      3           /* not there, made by somebody else meanwhile, there */

static weir_status ask(struct opensearch *self, const char *method, const char *rest,
                       const struct weir_buffer *body, struct opensearch_answer *ret_answer,
                       struct weir_error *reterr)
{
    struct opensearch_request request = {.method = method,
                                         .rest = rest,
                                         .content_type = body ? "application/json" : NULL,
                                         .body = body ? body->data : NULL,
                                         .body_size = body ? body->size : 0,
                                         .answer_size_max = ANSWER_SIZE_MAX};
    return opensearch_ask(self, &request, ret_answer, reterr);
}

static bool is_ok(const struct opensearch_answer *answer)
{
    return answer->code >= 200 && answer->code < 300;
}

/* ---- there ----------------------------------------------------------------------------------- */

/* The one index behind the name. A change goes to one index by its key: were there several, a row's
 * last version could be in another one than its first. */
static weir_status one_index(const struct opensearch *self, const json_t *answer,
                             const json_t **ret_index, struct weir_error *reterr)
{
    void *at = json_object_iter((json_t *)answer);
    if (!at)
        return weir_fail(reterr, WEIR_REFUSED,
                         "%s does not answer as OpenSearch or Elasticsearch does", self->url);
    const char *name = json_object_iter_key(at);
    const json_t *index = json_object_iter_value(at);
    if (json_object_get(index, "data_stream") || strncmp(name, ".ds-", 4) == 0)
        return weir_fail(reterr, WEIR_REFUSED,
                         "\"%s\" is a data stream: it takes new documents only, while rows are "
                         "changed and deleted; name an index",
                         self->index);
    if (json_object_size(answer) > 1)
        return weir_fail(reterr, WEIR_REFUSED,
                         "\"%s\" is an alias of %zu indexes, so that the versions of a row would "
                         "lie in several; name an index, or an alias of one",
                         self->index, json_object_size(answer));
    *ret_index = index;
    return WEIR_OK;
}

/* An index that we made gets the fields of columns that came later. One made by somebody else is
 * left as it is: what it does not declare may be meant so. */
static weir_status fields_add(struct opensearch *self, const json_t *mappings,
                              struct weir_error *reterr)
{
    const char *maker = json_string_value(
        json_object_get(json_object_get(mappings, "_meta"), "made_by"));
    struct opensearch_answer answer = {0};
    WEIR_AUTO(weir_buffer) body = {.account = &self->context->memory};
    size_t count;
    if (!maker || strcmp(maker, "weir") != 0)
        return WEIR_OK;
    WEIR_TRY(weir_buffer_print(&body, reterr, "{\"properties\":"));
    WEIR_TRY(opensearch_mapping_print(&self->row, json_object_get(mappings, "properties"), &body,
                                      &count, reterr));
    WEIR_TRY(weir_buffer_print(&body, reterr, "}"));
    if (!count)
        return WEIR_OK;
    weir_status status = ask(self, "PUT", "/_mapping", &body, &answer, reterr);
    if (status == WEIR_OK && !is_ok(&answer))
        status = opensearch_refusal(self, &answer, "adding fields to the mapping", true, reterr);
    opensearch_answer_done(self, &answer);
    return status;
}

static weir_status index_fits(struct opensearch *self, const json_t *answer,
                              const json_t **ret_mappings, struct weir_error *reterr)
{
    const json_t *index;
    WEIR_TRY(one_index(self, answer, &index, reterr));
    const json_t *mappings = json_object_get(index, "mappings");
    const json_t *properties = json_object_get(mappings, "properties");
    const json_t *typed = json_object_get(mappings, "_doc");
    if (!json_is_object(mappings) || (!properties && json_object_get(typed, "properties")))
        return weir_fail(reterr, WEIR_REFUSED,
                         "index \"%s\" has no mapping as OpenSearch, or Elasticsearch since 7, has "
                         "one",
                         self->index);
    *ret_mappings = mappings;
    return opensearch_mapping_check(&self->row, mappings, self->index, reterr);
}

static weir_status index_check(struct opensearch *self, const json_t *answer,
                               struct weir_error *reterr)
{
    const json_t *mappings;
    WEIR_TRY(index_fits(self, answer, &mappings, reterr));
    return fields_add(self, mappings, reterr);
}

/* ---- not there ------------------------------------------------------------------------------- */

/* OK: made, or somebody was first. */
static weir_status index_make(struct opensearch *self, struct weir_error *reterr)
{
    struct opensearch_answer answer = {0};
    WEIR_AUTO(weir_buffer) body = {.account = &self->context->memory};
    size_t count;
    char type[80] = "";
    WEIR_TRY(weir_buffer_print(&body, reterr,
                               "{\"mappings\":{\"dynamic\":false,\"_meta\":{\"made_by\":\"weir\"},"
                               "\"properties\":"));
    WEIR_TRY(opensearch_mapping_print(&self->row, NULL, &body, &count, reterr));
    WEIR_TRY(weir_buffer_print(&body, reterr, "}}"));
    weir_status status = ask(self, "PUT", "", &body, &answer, reterr);
    if (status == WEIR_OK && !is_ok(&answer)) {
        opensearch_word(json_object_get(json_object_get(answer.json, "error"), "type"), type,
                        sizeof type);
        if (strcmp(type, "resource_already_exists_exception") != 0)
            status = opensearch_refusal(self, &answer, "making it", true, reterr);
    }
    opensearch_answer_done(self, &answer);
    return status;
}

static weir_status index_look(struct opensearch *self, bool *ret_there, struct weir_error *reterr)
{
    struct opensearch_answer answer = {0};
    weir_status status = ask(self, "GET", "", NULL, &answer, reterr);
    *ret_there = status == WEIR_OK && is_ok(&answer);
    if (*ret_there)
        status = index_check(self, answer.json, reterr);
    else if (status == WEIR_OK && (answer.code != 404 || !answer.json))
        status = opensearch_refusal(self, &answer, "asking for it", true, reterr);
    opensearch_answer_done(self, &answer);
    return status;
}

/* NULL: a row of no columns. The names first: before an index is made for rows that it would not
 * take. */
static weir_status row_take(struct opensearch *self, const struct weir_type *row,
                            struct weir_error *reterr)
{
    struct weir_type copy;
    self->row = (struct weir_type){.id = WEIR_STRUCT};
    weir_arena_reset(&self->arena);
    if (!row)
        return WEIR_OK;
    WEIR_TRY(weir_type_copy(&self->arena, row, &copy, reterr));
    self->row = copy;
    return opensearch_mapping_check(&self->row, NULL, self->index, reterr);
}

weir_status opensearch_probe(void *receiver, const struct weir_type *row, char *ret_words,
                             size_t size, struct weir_error *reterr)
{
    struct opensearch *self = receiver;
    struct opensearch_answer answer;
    const json_t *mappings;
    WEIR_TRY(row_take(self, row, reterr));
    weir_status status = ask(self, "GET", "", NULL, &answer, reterr);
    if (status == WEIR_OK && is_ok(&answer)) {
        status = index_fits(self, answer.json, &mappings, reterr);
        snprintf(ret_words, size, "index \"%s\" is there%s", self->index,
                 row ? " and takes the columns" : "");
    } else if (status == WEIR_OK && (answer.code != 404 || !answer.json)) {
        status = opensearch_refusal(self, &answer, "asking for it", true, reterr);
    } else if (status == WEIR_OK) {
        snprintf(ret_words, size, "no index \"%s\" yet: the first delivery makes it", self->index);
    }
    if (status == WEIR_OK)
        status = sink_clock_check(answer.ahead_s, self->signer != NULL, ret_words, size, reterr);
    opensearch_answer_done(self, &answer);
    return status;
}

weir_status opensearch_prepare(void *receiver, const struct weir_type *row,
                               struct weir_error *reterr)
{
    struct opensearch *self = receiver;
    weir_status status = WEIR_OK;
    bool there = false;
    WEIR_TRY(row_take(self, row, reterr));
    for (int round = 0; round < ROUNDS_MAX && status == WEIR_OK && !there; round++) {
        status = index_look(self, &there, reterr);
        if (status == WEIR_OK && !there)
            status = index_make(self, reterr);
    }
    if (status == WEIR_OK && !there)
        return weir_fail(reterr, WEIR_UNAVAILABLE,
                         "index \"%s\" was made %d times and is not there", self->index,
                         ROUNDS_MAX);
    return status;
}
