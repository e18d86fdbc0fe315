/* Objects of unknown size: one conditional put if they fit into a part, else a multipart upload
 * whose parts are sent by up to three threads while the writer fills the next buffer. Completed by
 * If-None-Match: *. */
#include "connectors/s3/s3_int.h"
#include "connectors/s3/xml_int.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define PART_SIZE (8u << 20)
#define PARTS_MAX 10000 /* S3's limit */
#define PARTS_PER_SIZE                                                                             \
    1000 /* then the size doubles: 10,000 parts hold 8 TiB, more than S3's 5 TiB */
#define BUFFER_FIRST  (64u << 10)
#define BUFFER_SECOND (1u << 20)
#define SLOTS         4 /* buffers: one being filled, three on their way */
#define THREADS       (SLOTS - 1)

enum slot_state { SLOT_FREE, SLOT_FILLING, SLOT_READY, SLOT_SENDING };

struct slot {
    enum slot_state state;
    unsigned part; /* 1-based */
    struct weir_buffer buffer;
};

struct part {
    char etag[WEIR_ETAG_SIZE];
    uint8_t md5[16];
};

struct weir_upload {
    struct s3_store *store;
    char name[WEIR_OBJECT_NAME_MAX + 1], key[1100], id[1100]; /* id "": not (yet) multipart */
    uint64_t size;
    struct slot *filling;
    unsigned part_count;
    pthread_t threads[THREADS];
    int thread_count;

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct slot slots[SLOTS];
    struct part *parts;
    size_t part_capacity;
    bool ending; /* no more parts will come: threads end when there is nothing to send */
    bool failed; /* by the first failing part; nothing more is sent */
    weir_status status;
    struct weir_error error;
};

static size_t part_size(unsigned part)
{
    return (size_t)PART_SIZE << ((part - 1) / PARTS_PER_SIZE);
}

/* ---- sending parts --------------------------------------------------------------------------- */

static weir_status part_send(struct weir_upload *upload, const struct slot *slot,
                             struct part *ret_part, struct weir_error *reterr)
{
    char number[12], md5[25], md5_hex[33];
    const struct weir_buffer *buffer = &slot->buffer;
    WEIR_TRY(s3_md5(buffer->data, buffer->size, md5, md5_hex, reterr));
    for (int i = 0; i < 16; i++) {
        unsigned byte;
        sscanf(md5_hex + 2 * i, "%2x", &byte);
        ret_part->md5[i] = (uint8_t)byte;
    }
    snprintf(number, sizeof number, "%u", slot->part);
    struct s3_call call = {.method = "PUT",
                           .key = upload->key,
                           .body = buffer->data,
                           .body_size = buffer->size,
                           .has_body = true};
    s3_query(&call, "partNumber", number);
    s3_query(&call, "uploadId", upload->id);
    s3_header(&call, "content-md5", md5);
    weir_status status = s3_run(upload->store, &call, reterr);
    if (status == WEIR_OK &&
        !weir_http_header(&call.response, "etag", ret_part->etag, sizeof ret_part->etag))
        status = weir_fail(reterr, WEIR_CORRUPT, "%s: the server gave no etag for part %u",
                           upload->name, slot->part);
    s3_call_done(&call);
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "part %u of %s", slot->part, upload->name);
    return status;
}

static struct slot *slot_with(struct weir_upload *upload, enum slot_state state)
{
    struct slot *found = NULL;
    for (int i = 0; i < SLOTS; i++) /* the lowest part first */
        if (upload->slots[i].state == state && (!found || upload->slots[i].part < found->part))
            found = &upload->slots[i];
    return found;
}

static void *part_thread(void *argument)
{
    struct weir_upload *upload = argument;
    pthread_mutex_lock(&upload->lock);
    for (;;) {
        struct slot *slot = upload->failed ? NULL : slot_with(upload, SLOT_READY);
        if (!slot && (upload->ending || upload->failed))
            break;
        if (!slot) {
            pthread_cond_wait(&upload->changed, &upload->lock);
            continue;
        }
        struct part part;
        struct weir_error error;
        slot->state = SLOT_SENDING;
        pthread_mutex_unlock(&upload->lock);
        weir_status status = part_send(upload, slot, &part, &error);
        pthread_mutex_lock(&upload->lock);
        weir_buffer_clear(&slot->buffer);
        slot->state = SLOT_FREE;
        if (status == WEIR_OK) {
            upload->parts[slot->part - 1] = part;
        } else if (!upload->failed) {
            upload->failed = true;
            upload->status = status;
            upload->error = error;
        }
        pthread_cond_broadcast(&upload->changed);
    }
    pthread_mutex_unlock(&upload->lock);
    return NULL;
}

static weir_status fail_as_part(struct weir_upload *upload, struct weir_error *reterr)
{
    if (reterr)
        *reterr = upload->error;
    return upload->status;
}

static weir_status multipart_create(struct weir_upload *upload, struct weir_error *reterr)
{
    struct s3_store *store = upload->store;
    WEIR_AUTO(weir_buffer) answer = {.account = &store->account};
    struct s3_call call = {.method = "POST", .key = upload->key, .has_body = true, .out = &answer};
    s3_query(&call, "uploads", "");
    s3_header(&call, "content-type", "application/octet-stream");
    if (*store->kms_key) {
        s3_header(&call, "x-amz-server-side-encryption", "aws:kms");
        s3_header(&call, "x-amz-server-side-encryption-aws-kms-key-id", store->kms_key);
    }
    weir_status status = s3_run(store, &call, reterr);
    if (status == WEIR_OK && !xml_find((char *)answer.data, answer.size, NULL, "UploadId",
                                       upload->id, sizeof upload->id))
        status = weir_fail(reterr, WEIR_CORRUPT,
                           "%s: the server began a multipart upload without an id", upload->name);
    s3_call_done(&call);
    return status;
}

/* Under the lock: room for part n's result, which threads fill in later. */
static weir_status parts_reserve(struct weir_upload *upload, unsigned count,
                                 struct weir_error *reterr)
{
    if (count <= upload->part_capacity)
        return WEIR_OK;
    size_t capacity = upload->part_capacity ? upload->part_capacity * 2 : 16;
    WEIR_TRY(weir_realloc(&upload->parts, &upload->store->account, capacity * sizeof *upload->parts,
                          reterr));
    upload->part_capacity = capacity;
    return WEIR_OK;
}

/* Hands the filled buffer over to the threads. */
static weir_status part_hand_over(struct weir_upload *upload, struct weir_error *reterr)
{
    if (!*upload->id)
        WEIR_TRY(multipart_create(upload, reterr));
    if (upload->part_count == PARTS_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "%s is larger than an S3 object can be",
                         upload->name);
    pthread_mutex_lock(&upload->lock);
    weir_status status = parts_reserve(upload, upload->part_count + 1, reterr);
    if (status == WEIR_OK) {
        upload->filling->part = ++upload->part_count;
        upload->filling->state = SLOT_READY;
        upload->filling = NULL;
        pthread_cond_broadcast(&upload->changed);
    }
    pthread_mutex_unlock(&upload->lock);
    WEIR_TRY(status);
    if (upload->thread_count < THREADS && (unsigned)upload->thread_count < upload->part_count) {
        if (pthread_create(&upload->threads[upload->thread_count], NULL, part_thread, upload) == 0)
            upload->thread_count++;
        else if (upload->thread_count == 0)
            return weir_fail(reterr, WEIR_UNAVAILABLE, "the system gives no thread for an upload");
    }
    return WEIR_OK;
}

/* A buffer to fill; waits for a part to be sent if all are taken. */
static weir_status slot_take(struct weir_upload *upload, struct weir_error *reterr)
{
    pthread_mutex_lock(&upload->lock);
    while (!upload->failed && !(upload->filling = slot_with(upload, SLOT_FREE)))
        pthread_cond_wait(&upload->changed, &upload->lock);
    bool failed = upload->failed;
    if (!failed)
        upload->filling->state = SLOT_FILLING;
    pthread_mutex_unlock(&upload->lock);
    return failed ? fail_as_part(upload, reterr) : WEIR_OK;
}

/* Room for `more` bytes: small files stay small, large ones get their whole part at once and not a
 * byte more (weir_buffer's doubling would take 16 MiB for a part of 8). */
static weir_status buffer_grow(struct weir_buffer *buffer, size_t more, size_t whole,
                               struct weir_error *reterr)
{
    size_t wanted = buffer->size + more;
    if (wanted <= buffer->capacity)
        return WEIR_OK;
    size_t capacity = wanted <= BUFFER_FIRST    ? BUFFER_FIRST
                      : wanted <= BUFFER_SECOND ? BUFFER_SECOND
                                                : whole;
    WEIR_TRY(weir_realloc(&buffer->data, buffer->account, capacity, reterr));
    buffer->capacity = capacity;
    return WEIR_OK;
}

/* ---- the operations -------------------------------------------------------------------------- */

weir_status s3_upload_begin(void *self, const char *name, struct weir_upload **ret_upload,
                            struct weir_error *reterr)
{
    struct s3_store *store = self;
    struct weir_upload *upload;
    char key[1100];
    WEIR_TRY(s3_key(store, name, key, reterr));
    WEIR_TRY(weir_alloc_zero(&store->account, 1, sizeof *upload, &upload, reterr));
    upload->store = store;
    snprintf(upload->name, sizeof upload->name, "%s", name);
    memcpy(upload->key, key, sizeof key);
    for (int i = 0; i < SLOTS; i++)
        weir_buffer_init(&upload->slots[i].buffer, &store->account);
    pthread_mutex_init(&upload->lock, NULL);
    pthread_cond_init(&upload->changed, NULL);
    *ret_upload = upload;
    return WEIR_OK;
}

weir_status s3_upload_write(struct weir_upload *upload, const void *data, size_t size,
                            struct weir_error *reterr)
{
    for (const uint8_t *at = data; size;) {
        if (!upload->filling)
            WEIR_TRY(slot_take(upload, reterr));
        struct weir_buffer *buffer = &upload->filling->buffer;
        size_t whole = part_size(upload->part_count + 1), room = whole - buffer->size,
               piece = size < room ? size : room;
        WEIR_TRY(buffer_grow(buffer, piece, whole, reterr));
        memcpy(buffer->data + buffer->size, at, piece);
        buffer->size += piece;
        at += piece;
        size -= piece;
        upload->size += piece;
        if (buffer->size == whole)
            WEIR_TRY(part_hand_over(upload, reterr));
    }
    return WEIR_OK;
}

/* Waits for the threads. discard: parts not yet begun are not sent. */
static void threads_end(struct weir_upload *upload, bool discard)
{
    pthread_mutex_lock(&upload->lock);
    upload->ending = true;
    if (discard && !upload->failed) {
        upload->failed = true;
        upload->status = weir_fail(&upload->error, WEIR_FAILED, "%s was abandoned", upload->name);
    }
    pthread_cond_broadcast(&upload->changed);
    pthread_mutex_unlock(&upload->lock);
    for (int i = 0; i < upload->thread_count; i++)
        pthread_join(upload->threads[i], NULL);
    upload->thread_count = 0;
}

static void upload_free(struct weir_upload *upload)
{
    for (int i = 0; i < SLOTS; i++)
        weir_buffer_done(&upload->slots[i].buffer);
    weir_free(upload->parts);
    pthread_mutex_destroy(&upload->lock);
    pthread_cond_destroy(&upload->changed);
    weir_free(upload);
}

/* Best effort and one try: what stays is litter that a bucket's lifecycle rule clears. */
static void multipart_abort(struct weir_upload *upload)
{
    if (!*upload->id)
        return;
    struct s3_call call = {.method = "DELETE", .key = upload->key, .is_once = true};
    s3_query(&call, "uploadId", upload->id);
    weir_status ignored = s3_run(upload->store, &call, NULL);
    (void)ignored;
    s3_call_done(&call);
}

/* The etag that S3 gives to an object of these parts: MD5 of their MD5s, and their number. */
static weir_status etag_expected(const struct weir_upload *upload, const uint8_t *whole_md5,
                                 char ret_etag[WEIR_ETAG_SIZE], struct weir_error *reterr)
{
    uint8_t digest[16];
    bool done = true;
    if (*upload->id) {
        EVP_MD_CTX *state = EVP_MD_CTX_new();
        done = state && EVP_DigestInit_ex(state, EVP_md5(), NULL);
        for (unsigned i = 0; done && i < upload->part_count; i++)
            done = EVP_DigestUpdate(state, upload->parts[i].md5, 16);
        done = done && EVP_DigestFinal_ex(state, digest, NULL);
        EVP_MD_CTX_free(state);
        whole_md5 = digest;
    }
    if (!done)
        return weir_fail(reterr, WEIR_INTERNAL, "OpenSSL computes no MD5");
    ret_etag[0] = '"';
    for (int i = 0; i < 16; i++)
        snprintf(ret_etag + 1 + 2 * i, 3, "%02x", whole_md5[i]);
    snprintf(ret_etag + 33, WEIR_ETAG_SIZE - 33, *upload->id ? "-%u\"" : "\"", upload->part_count);
    return WEIR_OK;
}

/* An attempt may have worked, or its success was answered by 404 or 412 when it was sent again: the
 * object's own size and etag tell. Anything else there is another's, or cannot be told from it. */
static weir_status settle_own(struct weir_upload *upload, const uint8_t *whole_md5,
                              weir_status status, struct weir_object_info *ret_info,
                              struct weir_error *reterr)
{
    struct weir_object_info info;
    char expected[WEIR_ETAG_SIZE];
    WEIR_TRY(etag_expected(upload, whole_md5, expected, reterr));
    weir_status seen = s3_head_key(upload->store, upload->key, &info, NULL);
    if (seen == WEIR_OK && info.size == upload->size && strcmp(info.etag, expected) == 0) {
        *ret_info = info;
        return WEIR_OK;
    }
    if (seen == WEIR_OK && status == WEIR_UNKNOWN_OUTCOME && info.size != upload->size)
        return weir_fail(reterr, WEIR_PRECONDITION,
                         "%s is there already, with %llu bytes instead of %llu", upload->name,
                         (unsigned long long)info.size, (unsigned long long)upload->size);
    return status;
}

static weir_status body_print(const struct weir_upload *upload, struct weir_buffer *out,
                              struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_print(
        out, reterr,
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"));
    for (unsigned i = 0; i < upload->part_count; i++) {
        const char *etag = upload->parts[i].etag;
        size_t size = strlen(etag);
        if (strspn(etag, "\"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_=+/") !=
            size)
            return weir_fail(reterr, WEIR_CORRUPT, "%s: part %u has the etag %s", upload->name,
                             i + 1, etag);
        WEIR_TRY(weir_buffer_print(
            out, reterr, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", i + 1, etag));
    }
    return weir_buffer_print(out, reterr, "</CompleteMultipartUpload>");
}

static weir_status multipart_complete(struct weir_upload *upload, struct weir_object_info *ret_info,
                                      struct weir_error *reterr)
{
    struct weir_account *account = &upload->store->account;
    WEIR_AUTO(weir_buffer) body = {.account = account};
    WEIR_AUTO(weir_buffer) answer = {.account = account};
    WEIR_TRY(body_print(upload, &body, reterr));
    struct s3_call call = {.method = "POST",
                           .key = upload->key,
                           .body = body.data,
                           .body_size = body.size,
                           .has_body = true,
                           .is_write = true,
                           .is_conditional = true,
                           .out = &answer};
    s3_query(&call, "uploadId", upload->id);
    s3_header(&call, "content-type", "application/xml");
    s3_header(&call, "if-none-match", "*");
    weir_status status = s3_run(upload->store, &call, reterr);
    if (status == WEIR_OK &&
        !xml_find((char *)answer.data, answer.size, "CompleteMultipartUploadResult", "ETag",
                  ret_info->etag, sizeof ret_info->etag))
        status = weir_fail(reterr, WEIR_UNKNOWN_OUTCOME,
                           "%s: the server's answer to the end of the upload is none",
                           upload->name);
    /* 404 NoSuchUpload is also what a repeat of its own success looks like, sent by whatever lies
     * between. */
    if (status == WEIR_UNKNOWN_OUTCOME || status == WEIR_NOT_FOUND)
        status = settle_own(upload, NULL, status, ret_info, reterr);
    s3_call_done(&call);
    return status;
}

static weir_status single_put(struct weir_upload *upload, struct weir_object_info *ret_info,
                              struct weir_error *reterr)
{
    const struct weir_buffer *buffer = upload->filling ? &upload->filling->buffer : NULL;
    const void *data = buffer && buffer->size ? (const void *)buffer->data : "";
    uint8_t md5[16];
    if (!EVP_Digest(data, (size_t)upload->size, md5, NULL, EVP_md5(), NULL))
        return weir_fail(reterr, WEIR_UNSUPPORTED, "OpenSSL computes no MD5");
    weir_status status = s3_put_key(upload->store, upload->key, data, (size_t)upload->size,
                                    WEIR_PUT_IF_ABSENT, NULL, ret_info->etag, NULL, reterr);
    return status == WEIR_UNKNOWN_OUTCOME ? settle_own(upload, md5, status, ret_info, reterr)
                                          : status;
}

/* Everything is sent but the word that makes it an object. */
static weir_status upload_publish(struct weir_upload *upload, struct weir_object_info *ret_info,
                                  struct weir_error *reterr)
{
    struct weir_context *context = upload->store->context;
    WEIR_TRY(weir_effect_before(context, "upload", upload->name, reterr));
    weir_status status = *upload->id ? multipart_complete(upload, ret_info, reterr)
                                     : single_put(upload, ret_info, reterr);
    if (weir_effect_after(context))
        return weir_fail(reterr, WEIR_UNKNOWN_OUTCOME,
                         "upload %s: the answer was lost (by the test)", upload->name);
    return status;
}

weir_status s3_upload_finish(struct weir_upload *upload, struct weir_object_info *ret_info,
                             struct weir_error *reterr)
{
    struct weir_object_info info = {.size = upload->size,
                                    .modified_ms = weir_now_ms(upload->store->context)};
    weir_status status = WEIR_OK;
    if (*upload->id && upload->filling && upload->filling->buffer.size)
        status = part_hand_over(upload, reterr);
    threads_end(upload, status != WEIR_OK);
    if (status == WEIR_OK && upload->failed)
        status = fail_as_part(upload, reterr);
    if (status == WEIR_OK)
        status = upload_publish(upload, &info, reterr);
    /* With an unknown outcome the parts stay: an abort could race with its own completion. */
    if (status != WEIR_OK && status != WEIR_UNKNOWN_OUTCOME)
        multipart_abort(upload);
    snprintf(info.name, sizeof info.name, "%s", upload->name);
    if (status == WEIR_OK && ret_info)
        *ret_info = info;
    upload_free(upload);
    return status;
}

void s3_upload_abandon(struct weir_upload *upload)
{
    if (!upload)
        return;
    threads_end(upload, true);
    multipart_abort(upload);
    upload_free(upload);
}
