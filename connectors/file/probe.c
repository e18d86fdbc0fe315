/* Can this store tell losers? Asked through the seam only, so it serves every store; it stands here
 * because the connectors' lowest room that knows stores is this one. protocol.md 5, "Probe". */
#include "engine/base/io.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define RACERS        2
#define ABSENT_ROUNDS 4

struct probing {
    struct weir_context *context;
    const struct weir_object_store *store;
    char absent[600], raced[600], matched[600], uploaded[600];
};

struct racer {
    const struct probing *probing;
    const char *name, *etag; /* etag NULL: put-if-absent */
    char content[40];
    pthread_barrier_t *start;
    char written[WEIR_ETAG_SIZE];
    weir_status status;
    struct weir_error error;
};

static void *racer_run(void *argument)
{
    struct racer *racer = argument;
    const struct weir_object_store *store = racer->probing->store;
    if (racer->start)
        pthread_barrier_wait(racer->start);
    racer->status = store->operations->put(store->self, racer->name, racer->content,
                                           strlen(racer->content),
                                           racer->etag ? WEIR_PUT_IF_MATCH : WEIR_PUT_IF_ABSENT,
                                           racer->etag, racer->written, &racer->error);
    return NULL;
}

static weir_status refuse(const struct probing *probing, const char *what,
                          struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_REFUSED, "store %s %s", probing->store->root_uri,
                                   what);
    weir_error_hint(reterr, "Two writers could overwrite each other there. Use a store with "
                            "conditional writes, or the sqlite or rest catalog.");
    return status;
}

/* Two threads, so two connections, at one moment. With a system that gives no thread, one after the
 * other: that too shows a store that ignores conditions. */
static void race(struct racer racers[RACERS])
{
    pthread_t threads[RACERS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, RACERS);
    bool both = true;
    racers[0].start = racers[1].start = &start;
    if (pthread_create(&threads[0], NULL, racer_run, &racers[0]) == 0) {
        racer_run(&racers[1]);
        pthread_join(threads[0], NULL);
    } else {
        both = false;
    }
    pthread_barrier_destroy(&start);
    for (int i = 0; i < RACERS && !both; i++) {
        racers[i].start = NULL;
        racer_run(&racers[i]);
    }
}

/* Exactly one may have won, and its content must stand. An unknown outcome proves nothing: the
 * caller asks again. */
static weir_status race_judge(const struct probing *probing, struct racer racers[RACERS],
                              struct racer **ret_winner, struct weir_error *reterr)
{
    WEIR_AUTO(weir_buffer) content = {.account = &probing->context->memory};
    int wins = 0, losses = 0;
    for (int i = 0; i < RACERS; i++) {
        wins += racers[i].status == WEIR_OK;
        losses += racers[i].status == WEIR_PRECONDITION;
        *ret_winner = racers[i].status == WEIR_OK ? &racers[i] : *ret_winner;
    }
    if (wins == RACERS)
        return refuse(probing,
                      racers[0].etag
                          ? "does not tell the loser: two writers of one version both won"
                          : "does not tell the loser: two creators of one object both won",
                      reterr);
    for (int i = 0; i < RACERS && wins + losses < RACERS; i++)
        if (racers[i].status != WEIR_OK && racers[i].status != WEIR_PRECONDITION) {
            if (reterr)
                *reterr = racers[i].error;
            return racers[i].status == WEIR_UNSUPPORTED
                       ? refuse(probing, "has no conditional writes", reterr)
                       : racers[i].status;
        }
    if (wins == 0)
        return refuse(probing,
                      racers[0].etag ? "let no writer of a version win"
                                     : "let no creator of an object win",
                      reterr);
    const struct weir_object_store *store = probing->store;
    WEIR_TRY(store->operations->get(store->self, (*ret_winner)->name, 0, UINT64_MAX, &content, NULL,
                                    reterr));
    if (content.size != strlen((*ret_winner)->content) ||
        memcmp(content.data, (*ret_winner)->content, content.size) != 0)
        return refuse(probing, "told the wrong writer that it had won", reterr);
    return WEIR_OK;
}

static weir_status race_run(const struct probing *probing, const char *name, const char *etag,
                            char ret_etag[WEIR_ETAG_SIZE], struct weir_error *reterr)
{
    struct racer racers[RACERS] = {0}, *winner = NULL;
    for (int i = 0; i < RACERS; i++) {
        racers[i].probing = probing;
        racers[i].name = name;
        racers[i].etag = etag;
        snprintf(racers[i].content, sizeof racers[i].content, "%d %016llx", i,
                 (unsigned long long)weir_random_u64(probing->context));
    }
    race(racers);
    WEIR_TRY(race_judge(probing, racers, &winner, reterr));
    memcpy(ret_etag, winner->written, WEIR_ETAG_SIZE);
    return WEIR_OK;
}

static weir_status expect_loss(const struct probing *probing, weir_status status,
                               const char *otherwise, struct weir_error *reterr)
{
    if (status == WEIR_PRECONDITION)
        return WEIR_OK;
    return status == WEIR_OK || status == WEIR_UNSUPPORTED ? refuse(probing, otherwise, reterr)
                                                           : status;
}

static weir_status probe_absent(const struct probing *probing, struct weir_error *reterr)
{
    struct weir_object_info info;
    weir_status status = probing->store->operations->head(probing->store->self, probing->absent,
                                                          &info, reterr);
    if (status == WEIR_OK)
        return refuse(probing, "says that an object is there which nobody wrote", reterr);
    return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

/* A stale etag, and an object that is not there: both must lose. Races of put-if-match are not
 * asked: some stores compare and write in two steps (s3proxy 4.1.0 lets both win in one race of two
 * to ten), and nothing of ours rests on it: leases spare work, a hint is a hint. What commits rest
 * on, put-if-absent, is raced below. */
static weir_status probe_match(const struct probing *probing, char etag[WEIR_ETAG_SIZE],
                               struct weir_error *reterr)
{
    const struct weir_object_store *store = probing->store;
    char next[WEIR_ETAG_SIZE];
    WEIR_TRY(store->operations->put(store->self, probing->raced, "next", 4, WEIR_PUT_IF_MATCH, etag,
                                    next, reterr));
    if (strcmp(etag, next) == 0)
        return refuse(probing, "gives one etag to two contents", reterr);
    weir_status status = store->operations->put(store->self, probing->raced, "late", 4,
                                                WEIR_PUT_IF_MATCH, etag, NULL, reterr);
    WEIR_TRY(expect_loss(probing, status,
                         "ignores If-Match: it replaced a version that was not there any more",
                         reterr));
    status = store->operations->put(store->self, probing->matched, "late", 4, WEIR_PUT_IF_MATCH,
                                    etag, NULL, reterr);
    WEIR_TRY(expect_loss(probing, status,
                         "ignores If-Match: it replaced an object that is not there", reterr));
    memcpy(etag, next, WEIR_ETAG_SIZE);
    return WEIR_OK;
}

/* Large enough that S3 sends it in parts: 8 MiB and a little. */
static weir_status upload_once(const struct probing *probing, const char *chunk, size_t size,
                               struct weir_error *reterr)
{
    const struct weir_object_store_operations *operations = probing->store->operations;
    struct weir_upload *upload;
    struct weir_object_info info;
    WEIR_TRY(operations->upload_begin(probing->store->self, probing->uploaded, &upload, reterr));
    for (int i = 0; i < 9; i++) {
        weir_status status = operations->upload_write(upload, chunk, size, reterr);
        if (status != WEIR_OK) {
            operations->upload_abandon(upload);
            return status;
        }
    }
    return operations->upload_finish(upload, &info, reterr);
}

static weir_status probe_upload(const struct probing *probing, struct weir_error *reterr)
{
    char *chunk;
    size_t size = 1u << 20;
    WEIR_TRY(weir_alloc_zero(&probing->context->memory, 1, size, &chunk, reterr));
    weir_random_fill(probing->context, chunk, 64);
    weir_status status = upload_once(probing, chunk, size, reterr);
    if (status == WEIR_OK) {
        chunk[0] ^= 1;
        status = expect_loss(probing, upload_once(probing, chunk, size, reterr),
                             "ignores If-None-Match at the end of a multipart upload", reterr);
    } else if (status == WEIR_PRECONDITION) {
        status = refuse(probing, "says that an object is there which nobody wrote", reterr);
    }
    weir_free(chunk);
    return status;
}

static weir_status probe_all(const struct probing *probing, struct weir_error *reterr)
{
    char etag[WEIR_ETAG_SIZE] = "";
    WEIR_TRY(probe_absent(probing, reterr));
    const struct weir_object_store *store = probing->store;
    WEIR_TRY(store->operations->put(store->self, probing->raced, "first", 5, WEIR_PUT_IF_ABSENT,
                                    NULL, etag, reterr));
    weir_status status = store->operations->put(store->self, probing->raced, "late", 4,
                                                WEIR_PUT_IF_ABSENT, NULL, NULL, reterr);
    WEIR_TRY(expect_loss(probing, status,
                         "ignores If-None-Match: a second creator overwrote an object", reterr));
    if (!*etag)
        return refuse(probing, "gives no etags", reterr);
    WEIR_TRY(probe_match(probing, etag, reterr));
    for (int round = 0; round < ABSENT_ROUNDS; round++) {
        WEIR_TRY(store->operations->remove(store->self, probing->raced, reterr));
        WEIR_TRY(race_run(probing, probing->raced, NULL, etag, reterr));
    }
    return probe_upload(probing, reterr);
}

weir_status weir_object_store_probe(struct weir_context *context,
                                    const struct weir_object_store *store, const char *prefix,
                                    struct weir_error *reterr)
{
    struct probing probing = {context, store};
    char uuid[37];
    size_t size = strlen(prefix);
    if (size > 500)
        return weir_fail(reterr, WEIR_USAGE, "probe prefix \"%.100s...\" is too long", prefix);
    const char *slash = size && prefix[size - 1] != '/' ? "/" : "";
    weir_random_uuid(context, uuid);
    snprintf(probing.absent, sizeof probing.absent, "%s%sprobe-%s.absent", prefix, slash, uuid);
    snprintf(probing.raced, sizeof probing.raced, "%s%sprobe-%s.race", prefix, slash, uuid);
    snprintf(probing.matched, sizeof probing.matched, "%s%sprobe-%s.match", prefix, slash, uuid);
    snprintf(probing.uploaded, sizeof probing.uploaded, "%s%sprobe-%s.upload", prefix, slash, uuid);
    weir_status status = probe_all(&probing, reterr);
    const char *const names[] = {probing.raced, probing.matched, probing.uploaded};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct weir_error error;
        weir_status removed = store->operations->remove(store->self, names[i], &error);
        if (status == WEIR_OK && removed != WEIR_OK) {
            status = removed;
            if (reterr)
                *reterr = error;
        }
    }
    if (status != WEIR_OK)
        weir_error_prefix(reterr, "probe of the store");
    return status;
}
