/* The REST catalog's inside: one request with who we are and its retries.
 *
 * rest.c        the server's configuration; load, create, commit
 * rest_names.c  namespaces made, names listed page by page
 * rest_ask.c    one request: URL, headers, retries of what only reads, the server's refusal in
 * words rest_auth.c   bearer tokens, OAuth2 client credentials, SigV4
 * rest_access.c credentials that the catalog gives for tables, and its signatures */
#ifndef WEIR_CONNECTORS_CATALOG_REST_INT_H
#define WEIR_CONNECTORS_CATALOG_REST_INT_H

#include "connectors/catalog/catalog_int.h"
#include "connectors/http/http.h"
#include "connectors/s3/access.h"
#include "connectors/s3/sigv4.h"

#include <pthread.h>

enum {
    REST_TABLES_MAX = 1000000,  /* names of one listing */
    REST_PAGES_MAX = 100000,    /* pages of one listing */
    REST_LEVELS_MAX = 16,       /* of namespaces within each other */
    REST_LINES_MAX = 48,        /* headers of a request */
    REST_ANSWER_MAX = 64 << 20, /* bytes of an answer that holds no table */
    REST_TOKEN_MAX = 64 << 10,  /* bytes of a token */
};

/* ---- rest_auth.c ---- */

struct rest_auth {
    struct weir_context *context;
    struct weir_http_client *http;
    enum weir_catalog_rest_auth kind;
    struct weir_arena texts; /* copies of the options */
    const char *token_file, *token_url, *client_id, *client_secret, *secret_file, *scope, *audience;
    int64_t timeout_ms;
    struct weir_sigv4_signer *signer;
    pthread_mutex_t lock; /* guards what follows, and the signer */
    char *token;          /* NULL: none yet */
    int64_t renew_at_ms;  /* steady clock; 0: not by itself */
    int64_t ends_at_ms;   /* steady clock; 0: unknown */
    unsigned generation;  /* grows with each token */
};

struct rest_message {
    const char *method, *host, *path, *query; /* query: sorted, encoded; "" without */
    const char *content_type;                 /* NULL: no body */
    const void *body;
    size_t body_size;
};

weir_status rest_auth_init(struct rest_auth *auth, struct weir_context *context,
                           struct weir_http_client *http, const char *uri,
                           const struct weir_catalog_rest_options *options,
                           struct weir_error *reterr) WEIR_MUST_CHECK;
void rest_auth_done(struct rest_auth *auth); /* wipes; accepts a zeroed one */

/* Header lines that say who we are (and content-type, which SigV4 signs), in the arena. Asks for a
 * token when there is none or it is about to end. */
weir_status rest_auth_lines(struct rest_auth *auth, const struct rest_message *message,
                            struct weir_arena *arena, const char **lines, size_t *count,
                            unsigned *ret_generation, struct weir_error *reterr) WEIR_MUST_CHECK;

/* The server refused what lines of that generation said: is there something newer to say? */
weir_status rest_auth_renew(struct rest_auth *auth, unsigned generation, bool *ret_renewed,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- rest_ask.c ---- */

struct rest_access;

struct rest_catalog {
    struct weir_context *context;
    const struct weir_object_store *store;
    struct weir_http_client *http;
    struct rest_auth auth;
    struct weir_arena texts; /* copies of the options, and what the server's configuration says */
    const char *uri;         /* without '/' at the end; the server may name another one */
    const char *warehouse, *prefix; /* prefix: encoded, with '/' at its end, or "" */
    const char *separator;          /* between levels of a namespace in a path, encoded */
    const char *const *headers;
    size_t header_count;
    int64_t timeout_ms, retry_ms;
    bool idempotent; /* the server knows Idempotency-Key */
    bool is_nessie;  /* it keeps the newest snapshot of a table, no branches and tags */
    enum weir_catalog_rest_access access;
    struct rest_access *granter; /* NULL with access OWN */
    bool gives_keys;             /* it knows .../credentials of a table */
    bool has_keys;               /* its configuration holds keys, for the whole warehouse */
    struct weir_s3_keys keys;
    const char *sign_uri, *sign_endpoint; /* of its configuration; NULL */

    pthread_mutex_t lock; /* guards what follows, and the configuration while it is asked for */
    bool configured;
    uint64_t
        sent_hash[2]; /* the last commit that was sent, and its key: the same again has the same */
    char sent_key[37];
};

struct rest_request {
    const char *method;
    const char *path;  /* below {uri}/v1/, encoded */
    const char *query; /* sorted, encoded; NULL: none */
    const json_t *body;
    const char *key;        /* Idempotency-Key; NULL: none */
    const char *doing;      /* "loading bronze.inventory": for errors */
    const char *url;        /* whole, instead of path; our token only to the catalog's own host */
    const char *bearer;     /* with url: a token of its own; NULL: none */
    bool once;              /* it moves a pointer: a connection of its own, sent once */
    size_t answer_size_max; /* 0: REST_ANSWER_MAX */
};

struct rest_answer {
    long code;
    json_t *json; /* NULL: the body was none */
    size_t size;  /* of the body's text */
    size_t charged;
    bool is_error; /* the body is an error as the protocol has it */
    bool may_keep; /* Cache-Control: private */
    char type[80], message[512];
};

/* OK: any answer but those that another try may change, which are tried again until retry_ms is
 * over (not with `once`), and 401, answered by a renewed token if there is one. UNAVAILABLE: away,
 * or not sent. UNKNOWN_OUTCOME only with `once`: no answer, or 5xx. */
weir_status rest_ask(struct rest_catalog *catalog, const struct rest_request *request,
                     struct rest_answer *ret_answer, struct weir_error *reterr) WEIR_MUST_CHECK;
void rest_answer_done(struct rest_catalog *catalog, struct rest_answer *answer);

/* Words and status for an answer that is no success: DENIED, UNSUPPORTED, REFUSED, FAILED. */
weir_status rest_refusal(const struct rest_catalog *catalog, const struct rest_request *request,
                         const struct rest_answer *answer,
                         struct weir_error *reterr) WEIR_MUST_CHECK;

/* Copies what may be shown of `text`: one line of at most size - 1 bytes. */
void rest_words(const char *text, size_t text_size, char *out, size_t size);

/* "http://host:port/path": where the host begins and how long it is; false if it is no such URL. */
bool rest_url_split(const char *url, size_t *ret_host, size_t *ret_host_size);

/* Asks for the server's configuration, once. */
weir_status rest_configure(struct rest_catalog *catalog, struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- rest_names.c ---- */

/* "{prefix}namespaces/a%1Fb" of "a.b", and "/tables/{table}" behind it unless table is NULL. */
weir_status rest_path(struct rest_catalog *catalog, const char *space, const char *table,
                      struct weir_buffer *out, struct weir_error *reterr) WEIR_MUST_CHECK;
/* ["a", "b"] of the first `size` bytes of "a.b"; NULL without memory. */
json_t *rest_levels(const char *space, size_t size);
/* The namespace is there, or made. */
weir_status rest_namespace_make(struct rest_catalog *catalog, const char *space,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status rest_list(void *self, const char *namespace_name, struct weir_arena *arena,
                      char ***ret_names, size_t *ret_count,
                      struct weir_error *reterr) WEIR_MUST_CHECK;

/* ---- rest_access.c ---- */

/* The store asks the catalog from now on, by catalog->access. USAGE: it is none of S3. */
weir_status rest_access_new(struct rest_catalog *catalog,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
void rest_access_free(struct rest_catalog *catalog);
/* Keeps what an answer about a table grants; one that grants nothing changes nothing. */
weir_status rest_access_take(struct rest_catalog *catalog, const char *name, const char *folder,
                             const json_t *answer, struct weir_error *reterr) WEIR_MUST_CHECK;
/* Stages a table that is not there yet: where it is to lie. `folder`: where we would have it. */
weir_status rest_access_place(struct rest_catalog *catalog, const char *table, const char *folder,
                              char ret_location[1024], struct weir_error *reterr) WEIR_MUST_CHECK;
/* The keys among an answer's settings; false: none, or such as no keys are. */
bool rest_keys_read(const json_t *config, struct weir_s3_keys *ret_keys);

#endif
