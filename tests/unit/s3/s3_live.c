/* The S3 store against a real server. Runs only when WEIR_S3_ENDPOINT is set (exit 77, "skipped",
 * otherwise): WEIR_S3_ENDPOINT=http://127.0.0.1:19000 WEIR_S3_BUCKET=lake AWS_ACCESS_KEY_ID=...
 * AWS_SECRET_ACCESS_KEY=... s3_live WEIR_S3_CA: authority file for https. WEIR_S3_REFUSED=1: the
 * server must fail the probe, and only that is asked. */
#include "connectors/file/file_source.h"
#include "connectors/s3/s3.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            failures++;                                                                            \
            printf("FAILED %s:%d: %s: ", __func__, __LINE__, #condition);                          \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
        }                                                                                          \
    } while (0)

static struct weir_context context;
static struct weir_object_store store;
static struct weir_error error;

static weir_status put(const char *name, const char *text, enum weir_put_mode mode,
                       const char *etag, char *ret_etag)
{
    return store.operations->put(store.self, name, text, strlen(text), mode, etag, ret_etag,
                                 &error);
}

static void expect_content(const char *name, const char *text)
{
    struct weir_buffer buffer = {.account = &context.memory};
    struct weir_object_info info = {0};
    weir_status status = store.operations->get(store.self, name, 0, UINT64_MAX, &buffer, &info,
                                               &error);
    EXPECT(status == WEIR_OK, "%s: %s", name, error.text);
    EXPECT(buffer.size == strlen(text) &&
               (!buffer.size || memcmp(buffer.data, text, buffer.size) == 0),
           "%s: content", name);
    EXPECT(info.size == strlen(text) && info.etag[0] && info.modified_ms > 1000000000000,
           "%s: info %llu %s", name, (unsigned long long)info.size, info.etag);
    weir_buffer_done(&buffer);
}

static void conditions(void)
{
    char first[WEIR_ETAG_SIZE], second[WEIR_ETAG_SIZE];
    struct weir_object_info info;
    EXPECT(put("t/metadata/v1.metadata.json", "one", WEIR_PUT_IF_ABSENT, NULL, first) == WEIR_OK,
           "%s", error.text);
    EXPECT(put("t/metadata/v1.metadata.json", "two", WEIR_PUT_IF_ABSENT, NULL, NULL) ==
               WEIR_PRECONDITION,
           "%s", error.text);
    EXPECT(put("t/metadata/v1.metadata.json", "three", WEIR_PUT_IF_MATCH, first, second) == WEIR_OK,
           "%s", error.text);
    EXPECT(put("t/metadata/v1.metadata.json", "four", WEIR_PUT_IF_MATCH, first, NULL) ==
               WEIR_PRECONDITION,
           "%s", error.text);
    EXPECT(put("t/metadata/none", "x", WEIR_PUT_IF_MATCH, first, NULL) == WEIR_PRECONDITION, "%s",
           error.text);
    expect_content("t/metadata/v1.metadata.json", "three");
    EXPECT(store.operations->head(store.self, "t/metadata/v1.metadata.json", &info, &error) ==
                   WEIR_OK &&
               strcmp(info.etag, second) == 0,
           "%s", info.etag);
    EXPECT(info.size == 5, "size %llu", (unsigned long long)info.size);
    EXPECT(store.operations->head(store.self, "t/metadata/none", &info, &error) == WEIR_NOT_FOUND,
           "%s", error.text);
}

static void odd_names(void)
{
    static const char *const names[] = {"p/ts_day=2026-11-23/region=a b/x.parquet",
                                        "p/plus+and%25percent", "p/caf\xc3\xa9",
                                        "p/a&b'(c)!*;,:@$~", "p/quote\"less<more>"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        EXPECT(put(names[i], names[i], WEIR_PUT_IF_ABSENT, NULL, NULL) == WEIR_OK, "%s: %s",
               names[i], error.text);
        expect_content(names[i], names[i]);
    }
    EXPECT(put("empty", "", WEIR_PUT_ANY, NULL, NULL) == WEIR_OK, "%s", error.text);
    expect_content("empty", "");
}

static void ranges(void)
{
    struct weir_buffer buffer = {.account = &context.memory};
    struct weir_object_info info;
    EXPECT(put("r", "0123456789", WEIR_PUT_ANY, NULL, NULL) == WEIR_OK, "%s", error.text);
    EXPECT(store.operations->get(store.self, "r", 2, 3, &buffer, &info, &error) == WEIR_OK, "%s",
           error.text);
    EXPECT(info.size == 10, "the size is the object's: %llu", (unsigned long long)info.size);
    EXPECT(store.operations->get(store.self, "r", 9, UINT64_MAX, &buffer, NULL, &error) == WEIR_OK,
           "%s", error.text);
    EXPECT(buffer.size == 4 && memcmp(buffer.data, "2349", 4) == 0, "%zu bytes", buffer.size);
    EXPECT(store.operations->get(store.self, "r", 8, 3, &buffer, NULL, &error) == WEIR_CORRUPT,
           "%s", error.text);
    EXPECT(store.operations->get(store.self, "r", 20, 3, &buffer, NULL, &error) == WEIR_CORRUPT,
           "%s", error.text);
    EXPECT(store.operations->get(store.self, "no", 0, 3, &buffer, NULL, &error) == WEIR_NOT_FOUND,
           "%s", error.text);
    EXPECT(buffer.size == 4, "untouched by failures");
    weir_buffer_done(&buffer);
}

struct counting {
    int count;
    char last[1024];
    bool ordered;
};

static weir_status count_visit(void *argument, const struct weir_object_info *info)
{
    struct counting *counting = argument;
    counting->count++;
    counting->ordered &= strcmp(counting->last, info->name) < 0;
    snprintf(counting->last, sizeof counting->last, "%s", info->name);
    return info->etag[0] && info->modified_ms > 1000000000000 ? WEIR_OK : WEIR_FAILED;
}

static weir_status put_listed(void *argument, size_t index, struct weir_error *reterr)
{
    char name[64];
    snprintf(name, sizeof name, "many/%04zu<&>.x", index);
    return store.operations->put(store.self, name, "", 0, WEIR_PUT_ANY, NULL, NULL, reterr);
}

static void lists(void)
{
    struct counting counting = {.ordered = true};
    EXPECT(weir_parallel(&context, 1005, put_listed, NULL, &error) == WEIR_OK, "%s", error.text);
    EXPECT(store.operations->list(store.self, "many/", count_visit, &counting, &error) == WEIR_OK,
           "%s", error.text);
    EXPECT(counting.count == 1005 && counting.ordered, "%d listed, last %s", counting.count,
           counting.last);
    counting = (struct counting){.ordered = true};
    EXPECT(store.operations->list(store.self, "many/099", count_visit, &counting, &error) ==
               WEIR_OK,
           "%s", error.text);
    EXPECT(counting.count == 10, "%d listed", counting.count);
    counting = (struct counting){.ordered = true};
    EXPECT(store.operations->list(store.self, "nothing", count_visit, &counting, &error) ==
                   WEIR_OK &&
               counting.count == 0,
           "%s", error.text);
}

static weir_status upload(const char *name, size_t size, struct weir_object_info *ret_info)
{
    struct weir_upload *upload;
    static uint8_t chunk[100003];
    weir_status status = store.operations->upload_begin(store.self, name, &upload, &error);
    if (status != WEIR_OK)
        return status;
    for (size_t done = 0; done < size && status == WEIR_OK;) {
        size_t piece = size - done < sizeof chunk ? size - done : sizeof chunk;
        for (size_t i = 0; i < piece; i++)
            chunk[i] = (uint8_t)((done + i) * 2654435761u >> 24);
        status = store.operations->upload_write(upload, chunk, piece, &error);
        done += piece;
    }
    if (status != WEIR_OK) {
        store.operations->upload_abandon(upload);
        return status;
    }
    return store.operations->upload_finish(upload, ret_info, &error);
}

static void uploads(void)
{
    static const size_t sizes[] = {0, 5, 8u << 20, (8u << 20) + 1, 35000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct weir_buffer buffer = {.account = &context.memory};
        struct weir_object_info info = {0}, seen = {0};
        char name[40];
        snprintf(name, sizeof name, "data/%zu.parquet", i);
        EXPECT(upload(name, sizes[i], &info) == WEIR_OK, "%zu: %s", sizes[i], error.text);
        EXPECT(upload(name, sizes[i], &info) == WEIR_PRECONDITION, "%zu a second time: %s",
               sizes[i], error.text);
        EXPECT(store.operations->get(store.self, name, 0, UINT64_MAX, &buffer, &seen, &error) ==
                   WEIR_OK,
               "%s", error.text);
        size_t wrong = buffer.size == sizes[i] ? 0 : 1;
        for (size_t at = 0; at < buffer.size; at++)
            wrong += buffer.data[at] != (uint8_t)(at * 2654435761u >> 24);
        EXPECT(wrong == 0, "%zu bytes wrong of %zu, %zu came", wrong, sizes[i], buffer.size);
        EXPECT(info.size == sizes[i] && strcmp(info.etag, seen.etag) == 0, "%s is %s", info.etag,
               seen.etag);
        weir_buffer_done(&buffer);
    }
    struct weir_upload *left;
    EXPECT(store.operations->upload_begin(store.self, "data/left", &left, &error) == WEIR_OK, "%s",
           error.text);
    for (int i = 0; i < 20; i++) {
        static const char block[1 << 20];
        EXPECT(store.operations->upload_write(left, block, sizeof block, &error) == WEIR_OK, "%s",
               error.text);
    }
    store.operations->upload_abandon(left);
    EXPECT(store.operations->head(store.self, "data/left", &(struct weir_object_info){0}, &error) ==
               WEIR_NOT_FOUND,
           "%s", error.text);
}

struct racer {
    int wins, losses, others;
    char name[40];
    pthread_mutex_t lock;
};

static weir_status race_one(void *argument, size_t index, struct weir_error *reterr)
{
    struct racer *racer = argument;
    char text[20];
    snprintf(text, sizeof text, "%zu", index);
    weir_status status = store.operations->put(store.self, racer->name, text, strlen(text),
                                               WEIR_PUT_IF_ABSENT, NULL, NULL, reterr);
    pthread_mutex_lock(&racer->lock);
    racer->wins += status == WEIR_OK;
    racer->losses += status == WEIR_PRECONDITION;
    racer->others += status != WEIR_OK && status != WEIR_PRECONDITION;
    pthread_mutex_unlock(&racer->lock);
    return WEIR_OK;
}

static void races(void)
{
    context.thread_count = 16;
    for (int round = 0; round < 5; round++) {
        struct racer racer = {.lock = PTHREAD_MUTEX_INITIALIZER};
        snprintf(racer.name, sizeof racer.name, "race/%d", round);
        EXPECT(weir_parallel(&context, 16, race_one, &racer, &error) == WEIR_OK, "%s", error.text);
        EXPECT(racer.wins == 1 && racer.losses == 15, "%d won, %d lost, %d others", racer.wins,
               racer.losses, racer.others);
    }
    context.thread_count = 4;
}

static weir_status collect(void *argument, const struct weir_object_info *info)
{
    struct weir_buffer *names = argument;
    return weir_buffer_append(names, info->name, strlen(info->name) + 1, NULL);
}

static weir_status remove_one(void *argument, size_t index, struct weir_error *reterr)
{
    return store.operations->remove(store.self, ((char **)argument)[index], reterr);
}

static void clean(void)
{
    struct weir_buffer names = {.account = &context.memory};
    static char *list[5000];
    size_t count = 0;
    struct counting counting = {.ordered = true};
    EXPECT(store.operations->list(store.self, "", collect, &names, &error) == WEIR_OK, "%s",
           error.text);
    for (char *at = (char *)names.data;
         names.data && at < (char *)names.data + names.size && count < 5000; at += strlen(at) + 1)
        list[count++] = at;
    EXPECT(weir_parallel(&context, count, remove_one, list, &error) == WEIR_OK, "%s", error.text);
    EXPECT(store.operations->remove(store.self, "never-there", &error) == WEIR_OK, "%s",
           error.text);
    EXPECT(store.operations->list(store.self, "", count_visit, &counting, &error) == WEIR_OK &&
               counting.count == 0,
           "%d left, %s", counting.count, counting.last);
    weir_buffer_done(&names);
}

/* Input files in a bucket: the etag of the listing must be that of reading. */
static void files(void)
{
    struct weir_file_source source = {&context, &store};
    struct weir_arena arena;
    struct weir_file_entry *entries;
    struct weir_file *file;
    struct weir_buffer buffer = {.account = &context.memory};
    size_t count = 0;
    weir_arena_init(&arena, &context.memory);
    EXPECT(put("in/day=1/b.ndjson", "0123456789", WEIR_PUT_ANY, NULL, NULL) == WEIR_OK, "%s",
           error.text);
    EXPECT(put("in/day=2/a.ndjson", "x", WEIR_PUT_ANY, NULL, NULL) == WEIR_OK, "%s", error.text);
    EXPECT(put("in/day=2/a.txt", "x", WEIR_PUT_ANY, NULL, NULL) == WEIR_OK, "%s", error.text);
    EXPECT(weir_file_list(&source, "in/**/*.ndjson", &arena, &entries, &count, &error) == WEIR_OK &&
               count == 2,
           "%zu: %s", count, error.text);
    EXPECT(count == 2 && entries[0].size == 10 && strstr(entries[0].path, "/in/day=1/b.ndjson"),
           "%s", count ? entries[0].path : "");
    EXPECT(weir_file_open(&source, &entries[0], &file, &error) == WEIR_OK, "%s", error.text);
    EXPECT(weir_file_read_at(file, 4, 3, &buffer, &error) == WEIR_OK, "%s", error.text);
    EXPECT(buffer.size == 3 && memcmp(buffer.data, "456", 3) == 0, "%zu bytes", buffer.size);
    EXPECT(put("in/day=1/b.ndjson", "abcdefghij", WEIR_PUT_ANY, NULL, NULL) == WEIR_OK, "%s",
           error.text);
    EXPECT(weir_file_read_at(file, 4, 3, &buffer, &error) == WEIR_CORRUPT, "changed meanwhile");
    weir_file_close(file);
    weir_buffer_done(&buffer);
    weir_arena_done(&arena);
}

static void places(const struct weir_s3_options *options)
{
    struct weir_s3_options other = *options;
    struct weir_object_store wrong;
    EXPECT(weir_s3_check_place(&store, NULL, NULL, NULL, &error) == WEIR_OK, "%s", error.text);
    other.bucket = "no-such-bucket-here";
    EXPECT(weir_store_s3_new(&context, &other, &wrong, &error) == WEIR_OK, "%s", error.text);
    EXPECT(weir_s3_check_place(&wrong, NULL, NULL, NULL, &error) == WEIR_NOT_FOUND, "%s",
           error.text);
    wrong.operations->free(wrong.self);
}

static void secrets(const struct weir_s3_options *options)
{
    const char *secret = getenv("AWS_SECRET_ACCESS_KEY");
    char saved[256];
    struct weir_object_store wrong;
    if (!secret || getenv("WEIR_S3_LAX")) /* moto accepts any secret */
        return;
    snprintf(saved, sizeof saved, "%s", secret);
    setenv("AWS_SECRET_ACCESS_KEY", "wrongwrongwrong", 1);
    EXPECT(weir_store_s3_new(&context, options, &wrong, &error) == WEIR_OK, "%s", error.text);
    EXPECT(wrong.operations->put(wrong.self, "x", "y", 1, WEIR_PUT_ANY, NULL, NULL, &error) ==
               WEIR_DENIED,
           "%s", error.text);
    EXPECT(strstr(error.text, "wrongwrong") == NULL, "the secret shows: %s", error.text);
    wrong.operations->free(wrong.self);
    setenv("AWS_SECRET_ACCESS_KEY", saved, 1);
}

int main(void)
{
    const char *endpoint = getenv("WEIR_S3_ENDPOINT"), *bucket = getenv("WEIR_S3_BUCKET");
    char uuid[37], prefix[80];
    if (!endpoint) {
        printf("WEIR_S3_ENDPOINT is not set\n");
        return 77;
    }
    weir_context_init(&context);
    context.thread_count = 4;
    weir_random_uuid(&context, uuid);
    snprintf(prefix, sizeof prefix, "live/%s", uuid);
    struct weir_s3_options options = {.bucket = bucket ? bucket : "lake",
                                      .prefix = prefix,
                                      .endpoint = endpoint,
                                      .region = "us-east-1",
                                      .tls_ca_file = getenv("WEIR_S3_CA"),
                                      .retry_ms = 20000};
    EXPECT(weir_store_s3_new(&context, &options, &store, &error) == WEIR_OK, "%s", error.text);
    if (failures)
        return 1;
    int64_t begin = weir_steady_ms(&context);
    weir_status probed = weir_object_store_probe(&context, &store, "_weir/probe", &error);
    printf("probe: %s %s (%lld ms)\n", weir_status_name(probed),
           probed == WEIR_OK ? "" : error.text, (long long)(weir_steady_ms(&context) - begin));
    if (getenv("WEIR_S3_REFUSED")) {
        EXPECT(probed == WEIR_REFUSED, "the probe accepted it");
    } else {
        EXPECT(probed == WEIR_OK, "%s", error.text);
        places(&options);
        secrets(&options);
        conditions();
        odd_names();
        ranges();
        lists();
        files();
        uploads();
        races();
    }
    clean();
    store.operations->free(store.self);
    EXPECT(atomic_load(&context.memory.used) == 0, "%zu bytes left",
           atomic_load(&context.memory.used));
    printf("%s: %d failures, %lld ms\n", endpoint, failures,
           (long long)(weir_steady_ms(&context) - begin));
    weir_context_done(&context);
    return failures != 0;
}
