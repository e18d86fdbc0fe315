/* The S3 store: options to addresses, and the plain operations. Uploads are in upload.c. */
#include "connectors/s3/s3_int.h"
#include "connectors/s3/xml_int.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <curl/curl.h>

/* ---- names ----------------------------------------------------------------------------------- */

static bool name_is_wrong(const char *name)
{
    size_t size = strlen(name);
    bool wrong = size == 0 || name[0] == '/' || name[size - 1] == '/';
    for (const char *at = name; *at && !wrong;) {
        size_t part = strcspn(at, "/");
        wrong = part == 0 || (part == 1 && at[0] == '.') ||
                (part == 2 && at[0] == '.' && at[1] == '.');
        at += part + (at[part] == '/');
    }
    return wrong;
}

weir_status s3_key(const struct s3_store *store, const char *name, char ret_key[1100],
                   struct weir_error *reterr)
{
    size_t size = strlen(name), prefix = strlen(store->prefix);
    if (name_is_wrong(name))
        return weir_fail(
            reterr, WEIR_USAGE,
            "object name \"%.300s\" is empty, absolute, or has an empty part, \".\" or \"..\"",
            name);
    if (size + prefix > 1024) /* S3's own limit */
        return weir_fail(reterr, WEIR_USAGE,
                         "object name \"%.200s...\" is longer than 1,024 bytes with its prefix",
                         name);
    memcpy(ret_key, store->prefix, prefix);
    memcpy(ret_key + prefix, name, size + 1);
    return WEIR_OK;
}

bool weir_s3_uri_split(const char *uri, char ret_bucket[64], char ret_prefix[1024])
{
    static const char *const schemes[] = {"s3://", "s3a://", "s3n://"};
    for (size_t i = 0; i < 3; i++) {
        size_t size = strlen(schemes[i]);
        if (strncmp(uri, schemes[i], size) != 0)
            continue;
        const char *bucket = uri + size;
        size_t bucket_size = strcspn(bucket, "/"), rest = strlen(bucket + bucket_size);
        const char *prefix = bucket + bucket_size + (rest > 0);
        size_t prefix_size = strlen(prefix);
        while (prefix_size && prefix[prefix_size - 1] == '/')
            prefix_size--;
        if (bucket_size == 0 || bucket_size > 63 || prefix_size > 1000)
            return false;
        memcpy(ret_bucket, bucket, bucket_size);
        ret_bucket[bucket_size] = '\0';
        memcpy(ret_prefix, prefix, prefix_size);
        ret_prefix[prefix_size] = '\0';
        return true;
    }
    return false;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* False if the answer does not tell the object's size (chunked, through some proxy). */
static bool info_from_headers(const struct s3_call *call, const char *name,
                              struct weir_object_info *info)
{
    char text[128];
    memset(info, 0, sizeof *info);
    snprintf(info->name, sizeof info->name, "%s", name);
    weir_http_header(&call->response, "etag", info->etag, sizeof info->etag);
    if (weir_http_header(&call->response, "last-modified", text, sizeof text)) {
        time_t seconds = curl_getdate(text, NULL);
        info->modified_ms = seconds > 0 ? (int64_t)seconds * 1000 : 0;
    }
    if (weir_http_header(&call->response, "content-range", text, sizeof text) && strchr(text, '/'))
        info->size = strtoull(strchr(text, '/') + 1, NULL, 10);
    else if (weir_http_header(&call->response, "content-length", text, sizeof text))
        info->size = strtoull(text, NULL, 10);
    else
        return false;
    return true;
}

weir_status s3_head_key(struct s3_store *store, const char *key, struct weir_object_info *ret_info,
                        struct weir_error *reterr)
{
    struct s3_call call = {.method = "HEAD", .key = key};
    weir_status status = s3_run(store, &call, reterr);
    if (status == WEIR_OK && ret_info)
        info_from_headers(&call, key + strlen(store->prefix), ret_info);
    s3_call_done(&call);
    return status;
}

static weir_status store_head(void *self, const char *name, struct weir_object_info *ret_info,
                              struct weir_error *reterr)
{
    char key[1100];
    WEIR_TRY(s3_key(self, name, key, reterr));
    return s3_head_key(self, key, ret_info, reterr);
}

/* What came against what was asked for; fills *ret_info. A body cut short is libcurl's to notice.
 */
static weir_status range_check(const struct s3_call *call, const char *name, uint64_t offset,
                               uint64_t size, uint64_t got, struct weir_object_info *ret_info,
                               struct weir_error *reterr)
{
    bool told = info_from_headers(call, name, ret_info);
    if (offset && call->response.code != 206)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "%s: the server ignored the range that was asked for", name);
    if (size != UINT64_MAX && got != size)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "%s has %" PRIu64 " bytes; %" PRIu64 " from %" PRIu64 " on were asked for",
                         name, ret_info->size, size, offset);
    if (size == UINT64_MAX && !told)
        ret_info->size = offset + got;
    if (size == UINT64_MAX && got != ret_info->size - offset)
        return weir_fail(reterr, WEIR_CORRUPT, "%s: %" PRIu64 " bytes came, not %" PRIu64, name,
                         got, ret_info->size - offset);
    return WEIR_OK;
}

/* A range beyond the end is 416; the same call on an empty object from 0 on is no error. */
static weir_status store_get(void *self, const char *name, uint64_t offset, uint64_t size,
                             struct weir_buffer *out, struct weir_object_info *ret_info,
                             struct weir_error *reterr)
{
    char key[1100], range[64];
    struct weir_object_info info;
    size_t start = out->size;
    WEIR_TRY(s3_key(self, name, key, reterr));
    if (size == 0) {
        WEIR_TRY(store_head(self, name, &info, reterr));
        if (offset > info.size)
            return weir_fail(reterr, WEIR_CORRUPT, "%s has %" PRIu64 " bytes; offset %" PRIu64,
                             name, info.size, offset);
        if (ret_info)
            *ret_info = info;
        return WEIR_OK;
    }
    if (size != UINT64_MAX && offset + (size - 1) < offset)
        return weir_fail(reterr, WEIR_CORRUPT, "%s: a range of %" PRIu64 " from %" PRIu64 " on",
                         name, size, offset);
    struct s3_call call = {.method = "GET", .key = key, .out = out};
    if (size != UINT64_MAX)
        snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, offset, offset + size - 1);
    else
        snprintf(range, sizeof range, "bytes=%" PRIu64 "-", offset);
    if (offset || size != UINT64_MAX)
        s3_header(&call, "range", range);
    weir_status status = s3_run(self, &call, reterr);
    if (status == WEIR_OK)
        status = range_check(&call, name, offset, size, out->size - start, &info, reterr);
    s3_call_done(&call);
    if (status == WEIR_OK && ret_info)
        *ret_info = info;
    if (status != WEIR_OK)
        out->size = start;
    return status;
}

/* ---- listing --------------------------------------------------------------------------------- */

struct page {
    const struct s3_store *store;
    weir_status (*visit)(void *argument, const struct weir_object_info *info);
    void *argument;
    struct weir_object_info info;
    char key[1100];
    bool truncated, valid;
    char token[4096];
};

static weir_status page_object(struct page *page, struct weir_error *reterr)
{
    size_t prefix = strlen(page->store->prefix), size = strlen(page->key);
    weir_status status = WEIR_OK;
    if (strncmp(page->key, page->store->prefix, prefix) != 0)
        return weir_fail(reterr, WEIR_CORRUPT, "the listing of %s* has the foreign key \"%.200s\"",
                         page->store->prefix, page->key);
    if (size > prefix &&
        page->key[size - 1] != '/') { /* "folder/" objects are made by consoles: no data */
        snprintf(page->info.name, sizeof page->info.name, "%s", page->key + prefix);
        status = page->visit(page->argument, &page->info);
        if (status != WEIR_OK)
            status = weir_fail(reterr, status, "listing stopped at %s", page->key);
    }
    memset(&page->info, 0, sizeof page->info);
    page->key[0] = '\0';
    return status;
}

static weir_status page_visit(void *argument, const char *parent, const char *name,
                              const char *text, size_t size, struct weir_error *reterr)
{
    struct page *page = argument;
    if (strcmp(name, "Contents") == 0)
        return page_object(page, reterr);
    if (strcmp(parent, "Contents") == 0) {
        if (strcmp(name, "Key") == 0) {
            if (size > 1024 || strlen(text) != size)
                return weir_fail(reterr, WEIR_CORRUPT,
                                 "the listing has a key of %zu bytes, or with a NUL", size);
            memcpy(page->key, text, size + 1);
        } else if (strcmp(name, "Size") == 0) {
            page->info.size = strtoull(text, NULL, 10);
        } else if (strcmp(name, "ETag") == 0) {
            snprintf(page->info.etag, sizeof page->info.etag, "%s", text);
        } else if (strcmp(name, "LastModified") == 0) {
            page->info.modified_ms = s3_time_ms(text);
        }
    } else if (strcmp(name, "IsTruncated") == 0) {
        page->truncated = strcmp(text, "true") == 0;
    } else if (strcmp(name, "NextContinuationToken") == 0) {
        snprintf(page->token, sizeof page->token, "%s", text);
    } else if (strcmp(name, "ListBucketResult") == 0) {
        page->valid = true;
    }
    return WEIR_OK;
}

static weir_status list_page(struct s3_store *store, const char *key_prefix, const char *token,
                             struct page *page, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) answer = {.account = &store->account};
    struct s3_call call = {
        .method = "GET", .out = &answer, .listed = key_prefix + strlen(store->prefix)};
    s3_query(&call, "list-type", "2");
    s3_query(&call, "prefix", key_prefix);
    if (*token)
        s3_query(&call, "continuation-token", token);
    weir_status status = s3_run(store, &call, reterr);
    s3_call_done(&call);
    WEIR_TRY(status);
    WEIR_TRY(xml_scan((char *)answer.data, answer.size, page_visit, page, reterr));
    if (!page->valid)
        return weir_fail(reterr, WEIR_CORRUPT, "the answer to a listing of s3://%s/%s is none",
                         store->bucket, key_prefix);
    if (page->truncated && (!*page->token || strcmp(page->token, token) == 0))
        return weir_fail(reterr, WEIR_CORRUPT,
                         "the listing of s3://%s/%s says \"more\" but not where to go on",
                         store->bucket, key_prefix);
    return WEIR_OK;
}

static weir_status store_list(void *self, const char *prefix,
                              weir_status (*visit)(void *argument,
                                                   const struct weir_object_info *info),
                              void *argument, struct weir_error *reterr)
{
    struct s3_store *store = self;
    struct page *page;
    char key_prefix[2200], token[4096] = "";
    if (prefix[0] == '/' || strlen(prefix) > 1024)
        return weir_fail(reterr, WEIR_USAGE, "prefix \"%.300s\" is absolute or too long", prefix);
    snprintf(key_prefix, sizeof key_prefix, "%s%s", store->prefix, prefix);
    WEIR_TRY(weir_alloc_zero(&store->account, 1, sizeof *page, &page, reterr));
    weir_status status;
    do {
        *page = (struct page){.store = store, .visit = visit, .argument = argument};
        status = list_page(store, key_prefix, token, page, reterr);
        memcpy(token, page->token, sizeof token);
    } while (status == WEIR_OK && page->truncated);
    weir_free(page);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------- */

weir_status s3_put_key(struct s3_store *store, const char *key, const void *data, size_t size,
                       enum weir_put_mode mode, const char *etag, char ret_etag[WEIR_ETAG_SIZE],
                       bool *ret_maybe_done, struct weir_error *reterr)
{
    char md5[25], md5_hex[33];
    WEIR_TRY(s3_md5(data, size, md5, md5_hex, reterr));
    struct s3_call call = {.method = "PUT",
                           .key = key,
                           .body = data,
                           .body_size = size,
                           .has_body = true,
                           .is_write = true,
                           .is_conditional = mode != WEIR_PUT_ANY};
    s3_header(&call, "content-md5", md5);
    s3_header(&call, "content-type", "application/octet-stream");
    if (mode == WEIR_PUT_IF_ABSENT)
        s3_header(&call, "if-none-match", "*");
    if (mode == WEIR_PUT_IF_MATCH)
        s3_header(&call, "if-match", etag);
    if (*store->kms_key) {
        s3_header(&call, "x-amz-server-side-encryption", "aws:kms");
        s3_header(&call, "x-amz-server-side-encryption-aws-kms-key-id", store->kms_key);
    }
    weir_status status = s3_run(store, &call, reterr);
    if (status == WEIR_NOT_FOUND && mode == WEIR_PUT_IF_MATCH &&
        strcmp(call.code, "NoSuchBucket") != 0)
        status = weir_fail(reterr, WEIR_PRECONDITION,
                           "s3://%s/%s is gone, its version %s was to be replaced", store->bucket,
                           key, etag);
    if (status == WEIR_OK && ret_etag) {
        ret_etag[0] = '\0';
        weir_http_header(&call.response, "etag", ret_etag, WEIR_ETAG_SIZE);
    }
    if (ret_maybe_done)
        *ret_maybe_done = call.maybe_done;
    s3_call_done(&call);
    return status;
}

static weir_status store_put(void *self, const char *name, const void *data, size_t size,
                             enum weir_put_mode mode, const char *etag,
                             char ret_etag[WEIR_ETAG_SIZE], struct weir_error *reterr)
{
    struct s3_store *store = self;
    char key[1100];
    if (mode == WEIR_PUT_IF_MATCH && (!etag || !*etag))
        return weir_fail(reterr, WEIR_USAGE, "put-if-match of %s without an etag", name);
    WEIR_TRY(s3_key(store, name, key, reterr));
    WEIR_TRY(weir_effect_before(store->context, "put", name, reterr));
    weir_status status = s3_put_key(store, key, data, size, mode, etag, ret_etag, NULL, reterr);
    if (weir_effect_after(store->context))
        return weir_fail(reterr, WEIR_UNKNOWN_OUTCOME, "put %s: the answer was lost (by the test)",
                         name);
    return status;
}

static weir_status store_remove(void *self, const char *name, struct weir_error *reterr)
{
    struct s3_store *store = self;
    char key[1100];
    WEIR_TRY(s3_key(store, name, key, reterr));
    WEIR_TRY(weir_effect_before(store->context, "delete", name, reterr));
    struct s3_call call = {.method = "DELETE", .key = key, .is_write = true};
    weir_status status = s3_run(store, &call, reterr);
    if (status == WEIR_NOT_FOUND && strcmp(call.code, "NoSuchBucket") != 0)
        status = WEIR_OK;
    s3_call_done(&call);
    if (weir_effect_after(store->context))
        return weir_fail(reterr, WEIR_UNKNOWN_OUTCOME,
                         "delete %s: the answer was lost (by the test)", name);
    return status;
}

static weir_status store_settle(void *self, const char *prefix, struct weir_error *reterr)
{
    return WEIR_OK; /* S3 answers when it is durable */
}

/* ---- the store ------------------------------------------------------------------------------- */

static const char *first_set(const char *a, const char *b, const char *c)
{
    return a && *a ? a : b && *b ? b : c && *c ? c : NULL;
}

static weir_status bucket_check(const char *bucket, struct weir_error *reterr)
{
    size_t size = bucket ? strlen(bucket) : 0;
    if (size < 3 || size > 63 ||
        strspn(bucket, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != size)
        return weir_fail(reterr, WEIR_USAGE, "\"%.100s\" is no bucket name", bucket ? bucket : "");
    return WEIR_OK;
}

static weir_status prefix_set(struct s3_store *store, const char *prefix, struct weir_error *reterr)
{
    prefix = prefix ? prefix : "";
    prefix += strspn(prefix, "/");
    size_t size = strlen(prefix);
    while (size && prefix[size - 1] == '/')
        size--;
    if (size > 1000)
        return weir_fail(reterr, WEIR_USAGE, "the prefix of bucket %s is longer than 1,000 bytes",
                         store->bucket);
    memcpy(store->prefix, prefix, size);
    snprintf(store->root_uri, sizeof store->root_uri, "s3://%s%s%s", store->bucket, size ? "/" : "",
             store->prefix);
    if (size && name_is_wrong(store->prefix))
        return weir_fail(reterr, WEIR_USAGE,
                         "the prefix \"%.300s\" has an empty part, \".\" or \"..\"", store->prefix);
    if (size)
        store->prefix[size] = '/';
    return WEIR_OK;
}

static weir_status address_set(struct s3_store *store, const struct weir_s3_options *options,
                               struct weir_error *reterr)
{
    char aws[200];
    const char *own = first_set(options->endpoint, getenv("AWS_ENDPOINT_URL_S3"),
                                getenv("AWS_ENDPOINT_URL")),
               *endpoint = own;
    if (!endpoint) {
        snprintf(aws, sizeof aws, "https://s3.%s.amazonaws.com%s", store->region,
                 strncmp(store->region, "cn-", 3) == 0 ? ".cn" : "");
        endpoint = aws;
    }
    store->secure = strncmp(endpoint, "https://", 8) == 0;
    const char *host = store->secure                          ? endpoint + 8
                       : strncmp(endpoint, "http://", 7) == 0 ? endpoint + 7
                                                              : NULL;
    size_t size = host ? strlen(host) : 0;
    size -= size && host[size - 1] == '/';
    if (size == 0 || size > 400 || memchr(host, '/', size) || strpbrk(host, "@?# \r\n"))
        return weir_fail(reterr, WEIR_USAGE,
                         "\"%.200s\" is no S3 endpoint; wanted is https://host[:port]", endpoint);
    bool path = options->path_style == WEIR_S3_ADDRESSING_PATH ||
                (options->path_style == WEIR_S3_ADDRESSING_AUTO &&
                 (own || (store->secure && strchr(store->bucket, '.'))));
    if (path)
        snprintf(store->base_path, sizeof store->base_path, "/%s", store->bucket);
    snprintf(store->host, sizeof store->host, "%s%s%.*s", path ? "" : store->bucket,
             path ? "" : ".", (int)size, host);
    snprintf(store->base_url, sizeof store->base_url, "%s://%s%s", store->secure ? "https" : "http",
             store->host, store->base_path);
    return WEIR_OK;
}

static weir_status region_set(struct s3_store *store, const struct weir_s3_options *options,
                              struct weir_error *reterr)
{
    char profile[64] = "";
    const char *region = first_set(options->region, getenv("AWS_REGION"),
                                   getenv("AWS_DEFAULT_REGION"));
    if (!region &&
        s3_profile_setting(store->context, options->profile, "region", profile, sizeof profile))
        region = profile;
    region = region ? region : "us-east-1";
    if (strlen(region) >= sizeof store->region ||
        strspn(region, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
            strlen(region))
        return weir_fail(reterr, WEIR_USAGE, "\"%.100s\" is no region", region);
    snprintf(store->region, sizeof store->region, "%s", region);
    return WEIR_OK;
}

static void store_free(void *self)
{
    struct s3_store *store = self;
    if (!store)
        return;
    s3_chain_free(store->chain);
    weir_http_client_free(store->http);
    sigv4_keys_done(&store->keys);
    weir_free(store);
}

static weir_status store_fill(struct s3_store *store, const struct weir_s3_options *options,
                              struct weir_error *reterr)
{
    WEIR_TRY(bucket_check(options->bucket, reterr));
    snprintf(store->bucket, sizeof store->bucket, "%s", options->bucket);
    WEIR_TRY(prefix_set(store, options->prefix, reterr));
    WEIR_TRY(region_set(store, options, reterr));
    WEIR_TRY(address_set(store, options, reterr));
    const char *account = options->account ? options->account : "",
               *kms_key = options->kms_key ? options->kms_key : "";
    if (strlen(account) >= sizeof store->owner || strspn(account, "0123456789") != strlen(account))
        return weir_fail(reterr, WEIR_USAGE, "\"%.60s\" is no AWS account: 12 digits are", account);
    if (strlen(kms_key) >= sizeof store->kms_key || strpbrk(kms_key, "\r\n"))
        return weir_fail(reterr, WEIR_USAGE, "the KMS key id is no such thing");
    snprintf(store->owner, sizeof store->owner, "%s", account);
    snprintf(store->kms_key, sizeof store->kms_key, "%s", kms_key);
    store->retry_ms = options->retry_ms ? options->retry_ms : 60000;
    struct weir_http_options http = {options->tls_ca_file, options->tls_cert_file,
                                     options->tls_key_file};
    WEIR_TRY(weir_http_client_new(store->context, &http, &store->http, reterr));
    struct s3_chain_options chain = {options->profile, options->role_arn, options->external_id,
                                     store->region};
    return s3_chain_new(store->context, store->http, &chain, &store->chain, reterr);
}

static const struct weir_object_store_operations s3_operations = {
    .kind = "s3",
    .get = store_get,
    .head = store_head,
    .put = store_put,
    .list = store_list,
    .remove = store_remove,
    .upload_begin = s3_upload_begin,
    .upload_write = s3_upload_write,
    .upload_finish = s3_upload_finish,
    .upload_abandon = s3_upload_abandon,
    .settle = store_settle,
    .free = store_free,
};

weir_status weir_store_s3_new(struct weir_context *context, const struct weir_s3_options *options,
                              struct weir_object_store *ret_store, struct weir_error *reterr)
{
    struct s3_store *store;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *store, &store, reterr));
    store->context = context;
    weir_account_init(&store->account, &context->memory, "S3", 0);
    sigv4_keys_init(&store->keys);
    weir_status status = store_fill(store, options, reterr);
    if (status != WEIR_OK) {
        store_free(store);
        return status;
    }
    *ret_store = (struct weir_object_store){&s3_operations, store, store->root_uri};
    return WEIR_OK;
}
