/* Leases: an object that holds a duration and a nonce, no clock time. Its holder renews it by
 * put-if-match from a thread of its own; an observer takes it after seeing the same etag for longer
 * than the duration by its own steady clock. They spare wasted work only. */
#include "scheduler/window/window.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_SIZE    512
#define LEASE_MS     5000
#define LEASE_MS_MAX (10 * LEASE_MS)

struct weir_lease {
    struct weir_lake *lake;
    char name[512], etag[WEIR_ETAG_SIZE];
    char text[TEXT_SIZE]; /* what was put under the etag */
    char next[TEXT_SIZE]; /* what is to be put, or may have been; "" = nothing yet */
    int64_t duration_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool running, ending;
};

static int64_t lease_ms(void)
{
    const char *text = getenv(
        "WEIR_TEST_LEASE_MS"); /* crash sweeps wait for thousands of dead holders */
    return text && atoll(text) > 0 ? atoll(text) : LEASE_MS;
}

/* A nonce of its own each time: what lies there tells whose put it was. */
static void render(char text[TEXT_SIZE], const struct weir_lake *lake, int64_t duration_ms,
                   bool released)
{
    char host[128] = "";
    gethostname(host, sizeof host - 1);
    char nonce[37];
    weir_random_uuid(lake->context, nonce);
    snprintf(text, TEXT_SIZE,
             "{\"duration_ms\": %lld, \"nonce\": \"%s\", \"holder\": \"%s pid %d run %s\"%s}\n",
             (long long)duration_ms, nonce, host, (int)getpid(), lake->run_id,
             released ? ", \"released\": true" : "");
}

static bool is_text(const struct weir_buffer *there, const char *text)
{
    return there->size == strlen(text) && memcmp(there->data, text, there->size) == 0;
}

/* Puts a lease's text in place of `etag` ("" = of nothing). After a lost answer, and after a no
 * (the client may have sent it twice), what lies there decides: this text or `before`, the one that
 * this holder put last (NULL = none), means that it is still ours; ret_etag is then what it has.
 * Any other is PRECONDITION, and a store that does not answer UNKNOWN_OUTCOME. */
static weir_status put_lease(struct weir_lake *lake, const char *name, const char *text,
                             const char *before, const char *etag, char ret_etag[WEIR_ETAG_SIZE],
                             bool *ret_written, struct weir_error *reterr)
{
    const struct weir_object_store *store = &lake->store;
    struct weir_object_info info;
    WEIR_AUTO(weir_buffer) there = {.account = &lake->context->memory};
    weir_status status = store->operations->put(store->self, name, text, strlen(text),
                                                *etag ? WEIR_PUT_IF_MATCH : WEIR_PUT_IF_ABSENT,
                                                etag, ret_etag, reterr);
    *ret_written = status == WEIR_OK;
    if (status != WEIR_PRECONDITION && status != WEIR_UNKNOWN_OUTCOME)
        return status;
    weir_status found = store->operations->get(store->self, name, 0, UINT64_MAX, &there, &info,
                                               reterr);
    if (found == WEIR_NOT_FOUND && status == WEIR_PRECONDITION)
        return status;
    if (found != WEIR_OK)
        return WEIR_UNKNOWN_OUTCOME;
    *ret_written = is_text(&there, text);
    if (!*ret_written && !(before && is_text(&there, before)))
        return status == WEIR_UNKNOWN_OUTCOME && strcmp(info.etag, etag) == 0
                   ? status /* nothing happened so far */
                   : WEIR_PRECONDITION;
    memcpy(ret_etag, info.etag, WEIR_ETAG_SIZE);
    return WEIR_OK;
}

/* An answer that nobody knows is asked for again under the same nonce: the text that may lie there
 * stays known. Losing the lease changes nothing: no commit is less strict for holding one. */
static void renew_once(struct weir_lease *lease)
{
    char etag[WEIR_ETAG_SIZE];
    bool written;
    if (!*lease->next)
        render(lease->next, lease->lake, lease->duration_ms, false);
    weir_status status = put_lease(lease->lake, lease->name, lease->next, lease->text, lease->etag,
                                   etag, &written, NULL);
    if (status == WEIR_OK)
        memcpy(lease->etag, etag, sizeof etag);
    if (status == WEIR_OK && written) {
        memcpy(lease->text, lease->next, sizeof lease->text);
        *lease->next = '\0';
    }
}

static void *renew(void *argument)
{
    struct weir_lease *lease = argument;
    pthread_mutex_lock(&lease->lock);
    while (!lease->ending) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        int64_t ms = lease->duration_ms / 3;
        until.tv_sec += ms / 1000;
        until.tv_nsec += ms % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        if (pthread_cond_timedwait(&lease->wake, &lease->lock, &until) != ETIMEDOUT ||
            lease->ending)
            continue;
        renew_once(lease);
    }
    pthread_mutex_unlock(&lease->lock);
    return NULL;
}

static bool is_released(const struct weir_buffer *text, char ret_holder[256], int64_t *ret_duration)
{
    json_t *json = json_loadb((const char *)text->data, text->size, 0, NULL);
    const char *holder = json_string_value(json_object_get(json, "holder"));
    snprintf(ret_holder, 256, "%s", holder ? holder : "an unreadable lease");
    bool released = json_is_true(json_object_get(json, "released"));
    *ret_duration = json_integer_value(json_object_get(json, "duration_ms"));
    json_decref(json);
    return released;
}

/* Waits until the lease under `name` may be taken (its etag then in ret_etag, "" when there is
 * none) or was renewed meanwhile. */
static weir_status observe(struct weir_lake *lake, const char *name, char ret_etag[WEIR_ETAG_SIZE],
                           bool *ret_free, char ret_holder[256], struct weir_error *reterr)
{
    char first[WEIR_ETAG_SIZE] = "";
    int64_t since = weir_steady_ms(lake->context);
    for (;;) {
        struct weir_object_info info;
        int64_t duration;
        WEIR_AUTO(weir_buffer) text = {.account = &lake->context->memory};
        weir_status status = lake->store.operations->get(lake->store.self, name, 0, UINT64_MAX,
                                                         &text, &info, reterr);
        if (status == WEIR_NOT_FOUND) {
            *ret_etag = '\0';
            *ret_free = true;
            return WEIR_OK;
        }
        WEIR_TRY(status);
        bool released = is_released(&text, ret_holder, &duration);
        duration = duration > LEASE_MS_MAX ? LEASE_MS_MAX : duration; /* whatever the object says */
        memcpy(ret_etag, info.etag, WEIR_ETAG_SIZE);
        if (*first && strcmp(first, info.etag) != 0 && !released) {
            *ret_free = false;
            return WEIR_OK;
        }
        memcpy(first, info.etag, sizeof first);
        if (released || weir_steady_ms(lake->context) - since > duration) {
            *ret_free = true;
            return WEIR_OK;
        }
        WEIR_TRY(weir_context_check(lake->context, reterr));
        weir_sleep_ms(lake->context, duration / 20 + 5 < 250 ? duration / 20 + 5 : 250);
    }
}

weir_status weir_lease_take(struct weir_lake *lake, const char *name, struct weir_lease **ret_lease,
                            char ret_holder[256], struct weir_error *reterr)
{
    char object[512], etag[WEIR_ETAG_SIZE], text[TEXT_SIZE], made[WEIR_ETAG_SIZE];
    bool is_free, written;
    *ret_lease = NULL;
    *ret_holder = '\0';
    snprintf(object, sizeof object, "_weir/leases/%s.json", name);
    WEIR_TRY(observe(lake, object, etag, &is_free, ret_holder, reterr));
    if (!is_free)
        return WEIR_OK;
    int64_t duration = lease_ms();
    render(text, lake, duration, false);
    weir_status status = put_lease(lake, object, text, NULL, etag, made, &written, reterr);
    if (status == WEIR_UNKNOWN_OUTCOME) /* the same text again: at most one of them is there */
        status = put_lease(lake, object, text, NULL, etag, made, &written, reterr);
    if (status == WEIR_PRECONDITION) {
        snprintf(ret_holder, 256, "another run that was a moment faster");
        return WEIR_OK;
    }
    WEIR_TRY(status);
    struct weir_lease *lease;
    WEIR_TRY(weir_alloc_zero(&lake->context->memory, 1, sizeof *lease, &lease, reterr));
    lease->lake = lake;
    lease->duration_ms = duration;
    snprintf(lease->name, sizeof lease->name, "%s", object);
    memcpy(lease->etag, made, sizeof made);
    memcpy(lease->text, text, sizeof text);
    pthread_mutex_init(&lease->lock, NULL);
    pthread_cond_init(&lease->wake, NULL);
    lease->running = pthread_create(&lease->thread, NULL, renew, lease) == 0;
    *ret_lease = lease;
    return WEIR_OK;
}

void weir_lease_give_back(struct weir_lease *lease)
{
    if (!lease)
        return;
    pthread_mutex_lock(&lease->lock);
    lease->ending = true;
    pthread_cond_signal(&lease->wake);
    pthread_mutex_unlock(&lease->lock);
    if (lease->running)
        pthread_join(lease->thread, NULL);
    if (*lease->next) /* a renewal nobody knows of: settled first, so that the etag is right */
        renew_once(lease);
    char text[TEXT_SIZE], etag[WEIR_ETAG_SIZE];
    bool written;
    render(text, lease->lake, lease->duration_ms, true);
    /* If it fails, somebody took it over, or the store is away: it runs out by itself. */
    put_lease(lease->lake, lease->name, text, lease->text, lease->etag, etag, &written, NULL);
    pthread_mutex_destroy(&lease->lock);
    pthread_cond_destroy(&lease->wake);
    weir_free(lease);
}
