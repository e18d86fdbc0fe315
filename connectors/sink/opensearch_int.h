/* The parts of the OpenSearch sink. opensearch.c: settings, login, one request; opensearch_index.c:
 * the index is there and fits; opensearch_bulk.c: changes out, answers in; opensearch_mapping.c:
 * types of columns and types of the index. Private to the room. */
#ifndef WEIR_CONNECTORS_SINK_OPENSEARCH_INT_H
#define WEIR_CONNECTORS_SINK_OPENSEARCH_INT_H

#include "connectors/s3/sigv4.h"
#include "connectors/sink/sink_int.h"

#include <jansson.h>

#define OPENSEARCH_NAME_SIZE 256 /* an index name has at most 255 bytes */

struct opensearch {
    struct weir_context *context;
    struct weir_http_client *http;
    struct weir_sigv4_signer *signer; /* NULL unless requests are signed */
    char *url;                        /* without '/' at its end */
    char *host;                       /* as the Host header has it */
    const char *path;                 /* within url: "" or "/prefix" */
    char *authorization;              /* a header line; NULL: none */
    char index[OPENSEARCH_NAME_SIZE];
    int64_t timeout_ms;
    size_t batch_max;
    struct weir_arena arena; /* the row's type, of the last prepare */
    struct weir_type row;    /* STRUCT of nothing before */
};

struct opensearch_request {
    const char *method;
    const char *rest; /* behind the index: "", "/_bulk" */
    const char *content_type;
    const void *body;
    size_t body_size;
    uint64_t answer_size_max;
};

struct opensearch_answer {
    long code;
    json_t *json; /* NULL: not JSON */
    size_t charged;
    int64_t wait_ms; /* Retry-After, 0: none */
    int64_t ahead_s; /* its clock, 0: not told */
};

/* OK for any answer of the server; free it by opensearch_answer_done, also on failure.
 * UNAVAILABLE: none came (a repeat does no harm here, so an unknown outcome is that too). */
weir_status opensearch_ask(struct opensearch *self, const struct opensearch_request *request,
                           struct opensearch_answer *ret_answer,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
void opensearch_answer_done(struct opensearch *self, struct opensearch_answer *answer);

/* What an answer other than 2xx means for the whole: UNAVAILABLE, DENIED or REFUSED. with_reason:
 * the server's sentence is told too: only where no row can be quoted in it. */
weir_status opensearch_refusal(const struct opensearch *self,
                               const struct opensearch_answer *answer, const char *what,
                               bool with_reason, struct weir_error *reterr) WEIR_MUST_CHECK;

/* A name of the server's (an exception, a type): letters, digits, '_' '-' '.' only, else "unknown".
 */
void opensearch_word(const json_t *text, char *ret_word, size_t size);

weir_status opensearch_prepare(void *self, const struct weir_type *row,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

weir_status opensearch_probe(void *self, const struct weir_type *row, char *ret_words, size_t size,
                             struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status opensearch_deliver(void *self, const struct weir_sink_change *changes, size_t count,
                               struct weir_sink_result *results, int64_t *ret_wait_ms,
                               struct weir_error *reterr) WEIR_MUST_CHECK;

/* opensearch_bulk.c, for the tests too. Appends the two lines (DELETE: one) of a change. */
weir_status opensearch_change_print(const struct weir_sink_change *change, struct weir_buffer *out,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;
/* Fills results from the answer to a bulk of these changes. UNAVAILABLE: it is not one; DENIED: we
 * may not write. */
weir_status opensearch_results_read(const struct opensearch *self, const json_t *answer,
                                    const struct weir_sink_change *changes, size_t count,
                                    struct weir_sink_result *results,
                                    struct weir_error *reterr) WEIR_MUST_CHECK;

/* opensearch_mapping.c */
/* Appends text as a JSON string. */
weir_status opensearch_text_print(const char *text, struct weir_buffer *out,
                                  struct weir_error *reterr) WEIR_MUST_CHECK;
/* Appends {"name": {"type": ...}, ...} for the fields of a STRUCT that `properties` (NULL: none are
 * there) lacks; *ret_count of them at any depth. */
weir_status opensearch_mapping_print(const struct weir_type *row, const json_t *properties,
                                     struct weir_buffer *out, size_t *ret_count,
                                     struct weir_error *reterr) WEIR_MUST_CHECK;
/* REFUSED if a mapping cannot take what the row has: both types are named. */
weir_status opensearch_mapping_check(const struct weir_type *row, const json_t *mapping,
                                     const char *index, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Is text the dotted name of a field (maps: of the map) of the row? Then its part that we declared:
 * at most size bytes. */
bool opensearch_field_known(const struct weir_type *row, const char *text, size_t size,
                            size_t *ret_size);
/* Is it the name of a type of fields that we know? */
bool opensearch_type_known(const char *text, size_t size);

#endif
