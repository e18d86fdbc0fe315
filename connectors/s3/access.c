/* Whose keys a call is signed with: our own, or those of who lets us at the object. access.h. */
#include "connectors/s3/access.h"

#include "connectors/s3/s3_int.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

weir_status weir_store_s3_delegate(const struct weir_object_store *store,
                                   const struct weir_s3_access *access, struct weir_error *reterr)
{
    if (!store->operations || strcmp(store->operations->kind, "s3") != 0)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "a catalog gives credentials for a warehouse in S3, this one is %s",
                         store->root_uri);
    struct s3_store *s3 = store->self;
    s3->access = access ? *access : (struct weir_s3_access){0};
    return WEIR_OK;
}

/* Name of what the call is about, relative to the root. */
static const char *subject(const struct s3_store *store, const struct s3_call *call)
{
    return call->key ? call->key + strlen(store->prefix) : call->listed ? call->listed : "";
}

static void keys_take(struct s3_credentials *to, const struct weir_s3_keys *from)
{
    snprintf(to->id, sizeof to->id, "%s", from->id);
    snprintf(to->secret, sizeof to->secret, "%s", from->secret);
    snprintf(to->token, sizeof to->token, "%s", from->token);
    to->expires_ms = from->expires_ms;
}

static void keys_give(struct weir_s3_keys *to, const struct s3_credentials *from)
{
    snprintf(to->id, sizeof to->id, "%s", from->id);
    snprintf(to->secret, sizeof to->secret, "%s", from->secret);
    snprintf(to->token, sizeof to->token, "%s", from->token);
    to->expires_ms = from->expires_ms;
}

static weir_status own_keys(struct s3_store *store, const struct s3_call *call,
                            const struct s3_credentials *rejected,
                            struct s3_credentials *credentials, struct weir_error *reterr)
{
    weir_status status = s3_chain_get(store->chain, rejected, credentials, reterr);
    if (status != WEIR_DENIED || !store->access.self || rejected)
        return status;
    const char *name = subject(store, call);
    weir_error_prefix(reterr,
                      "s3://%s/%s: the catalog lets us at tables' folders only, for the rest of "
                      "the warehouse keys of our own are needed",
                      store->bucket, *name ? name : store->prefix);
    weir_error_hint(reterr, "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or a role) of "
                            "somebody who may write {warehouse}/_weir/: docs/catalogs.md.");
    if (reterr)
        reterr->status = WEIR_USAGE;
    return WEIR_USAGE;
}

weir_status s3_authority_get(struct s3_store *store, struct s3_call *call, bool rejected,
                             struct s3_credentials *credentials, struct weir_error *reterr)
{
    call->refused = rejected;
    if (rejected && call->grant == WEIR_S3_GRANT_SIGNATURES)
        return WEIR_OK;
    enum weir_s3_grant before = call->grant;
    call->grant = WEIR_S3_GRANT_NONE;
    if (!store->access.self || (rejected && before == WEIR_S3_GRANT_NONE))
        return own_keys(store, call, rejected ? credentials : NULL, credentials, reterr);
    struct weir_s3_keys *keys; /* two of some 8 KiB: not on the stacks of workers */
    WEIR_TRY(weir_alloc_zero(&store->context->memory, 2, sizeof *keys, &keys, reterr));
    if (rejected)
        keys_give(&keys[1], credentials);
    weir_status status = store->access.find(store->access.self, subject(store, call), !call->key,
                                            rejected ? &keys[1] : NULL, &call->grant, &keys[0],
                                            reterr);
    if (status == WEIR_OK && call->grant == WEIR_S3_GRANT_KEYS)
        keys_take(credentials, &keys[0]);
    OPENSSL_cleanse(keys, 2 * sizeof *keys);
    weir_free(keys);
    if (status == WEIR_OK && call->grant == WEIR_S3_GRANT_NONE)
        status = own_keys(store, call, NULL, credentials, reterr);
    return status;
}

static bool is_given(const char *const *lines, size_t count, const char *line)
{
    size_t name = strcspn(line, ":") + 1;
    for (size_t i = 0; i < count; i++)
        if (strncasecmp(lines[i], line, name) == 0)
            return true;
    return false;
}

/* What we send says what is to be done; what was signed about it may only be added. The payload's
 * hash is the signer's to choose: it is part of what it signed. */
weir_status s3_signed_elsewhere(struct s3_store *store, const struct s3_call *call, const char *url,
                                struct weir_arena *arena, const char **lines, size_t *count,
                                size_t capacity, const char **ret_url, struct weir_error *reterr)
{
    const char **more, *changed, *signed_url;
    size_t more_count, own = *count;
    struct weir_s3_signing signing = {.method = call->method,
                                      .region = store->region,
                                      .url = url,
                                      .headers = lines,
                                      .header_count = own,
                                      .refused = call->refused};
    WEIR_TRY(store->access.sign(store->access.self, subject(store, call), &signing, arena,
                                &signed_url, &more, &more_count, reterr));
    size_t path = strcspn(url, "?");
    if (strncmp(signed_url, url, path) != 0 || (signed_url[path] && signed_url[path] != '?'))
        return weir_fail(reterr, WEIR_REFUSED,
                         "the catalog was asked to sign %.*s, and signed %.300s", (int)path, url,
                         signed_url);
    for (size_t i = 0; i < more_count; i++) {
        changed = more[i];
        bool is_hash = strncasecmp(changed, "x-amz-content-sha256:", 21) == 0;
        if (strncasecmp(changed, "x-amz-", 6) != 0 && strncasecmp(changed, "authorization:", 14))
            continue;
        for (size_t j = 0; is_hash && j < own; j++)
            if (strncasecmp(lines[j], changed, 21) == 0)
                lines[j] = changed;
        if (is_given(lines, own, changed))
            continue;
        if (*count == capacity)
            return weir_fail(reterr, WEIR_REFUSED,
                             "the catalog's signature has more than %zu headers", capacity);
        lines[(*count)++] = changed;
    }
    *ret_url = signed_url;
    return WEIR_OK;
}
