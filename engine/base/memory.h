/* Memory that knows whose it is.
 *
 * An account counts bytes and enforces a limit; accounts form a tree and a charge goes up to the
 * root, whose limit is run.memory_limit. Blocks come from an account; arenas take blocks from an
 * account and die at once. Thread-safe: accounts. Not thread-safe: arenas and buffers (one owner at
 * a time).
 *
 * Allocation fails by status NO_MEMORY (limit, or the system) and never ends the process. */
#ifndef WEIR_ENGINE_BASE_MEMORY_H
#define WEIR_ENGINE_BASE_MEMORY_H

#include "engine/base/status.h"

#include <stdatomic.h>

struct weir_context;
struct weir_account {
    struct weir_account *parent; /* NULL for the root */
    const char *name;            /* for messages; static or outlives the account */
    size_t limit;                /* bytes; 0 = none of its own */
    atomic_size_t used;
    atomic_size_t peak;
    /* Whose wish to stop ends work that knows only its memory (weir_arena_check); taken over from
     * the parent by init. NULL = nobody's: such work runs to its end, as a pipeline's does. */
    struct weir_context *context;
};

void weir_account_init(struct weir_account *account, struct weir_account *parent, const char *name,
                       size_t limit);

/* Charge for memory that somebody else allocates (librdkafka's queue, a mapped file). */
weir_status weir_account_charge(struct weir_account *account, size_t size,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_account_release(struct weir_account *account, size_t size);

/* Blocks. `size` 0 gives a valid block. The account must outlive its blocks. weir_free accepts
 * NULL. weir_realloc leaves the old block alone on failure. All blocks are 64-byte aligned. */
weir_status weir_alloc(struct weir_account *account, size_t size, void *ret_block,
                       struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_alloc_zero(struct weir_account *account, size_t count, size_t size,
                            void *ret_block,
                            struct weir_error *reterr) WEIR_MUST_CHECK; /* count*size checked */
weir_status weir_realloc(void *block_pointer, struct weir_account *account, size_t size,
                         struct weir_error *reterr) WEIR_MUST_CHECK;
void weir_free(void *block);
size_t weir_block_size(const void *block);

/* Arena: pointers live until reset or done. Blocks grow geometrically up to 1 MiB, larger requests
 * stand alone. reset keeps the first block; a batch arena is reset, never freed, between batches.
 */
struct weir_arena_block;
struct weir_arena {
    struct weir_account *account;
    struct weir_arena_block *first, *current;
    size_t used; /* bytes handed out since the last reset */
};

void weir_arena_init(struct weir_arena *arena, struct weir_account *account);
void weir_arena_reset(struct weir_arena *arena);
void weir_arena_done(struct weir_arena *arena); /* NULL-safe, twice-safe */
weir_status weir_arena_alloc(struct weir_arena *arena, size_t size, void *ret_pointer,
                             struct weir_error *reterr)
    WEIR_MUST_CHECK; /* 64-byte aligned if size >= 64, else 8 */
weir_status weir_arena_zero(struct weir_arena *arena, size_t count, size_t size, void *ret_pointer,
                            struct weir_error *reterr) WEIR_MUST_CHECK;
/* Copies size bytes and puts a NUL behind them. */
weir_status weir_arena_copy(struct weir_arena *arena, const void *data, size_t size,
                            char **ret_copy, struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_arena_print(struct weir_arena *arena, char **ret_text, struct weir_error *reterr,
                             const char *format, ...) WEIR_MUST_CHECK WEIR_PRINTF(4, 5);

/* A growable run of bytes. Zero-initialise with the account set, or weir_buffer_init. */
struct weir_buffer {
    struct weir_account *account;
    uint8_t *data;
    size_t size;     /* bytes used */
    size_t capacity; /* bytes there are */
};

void weir_buffer_init(struct weir_buffer *buffer, struct weir_account *account);
void weir_buffer_done(struct weir_buffer *buffer);
void weir_buffer_clear(struct weir_buffer *buffer); /* size = 0, capacity kept */
weir_status weir_buffer_reserve(struct weir_buffer *buffer, size_t more,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_buffer_append(struct weir_buffer *buffer, const void *data, size_t size,
                               struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status weir_buffer_print(struct weir_buffer *buffer, struct weir_error *reterr,
                              const char *format, ...) WEIR_MUST_CHECK
    WEIR_PRINTF(3, 4); /* text without the NUL in size; a NUL stands behind */

/* WEIR_AUTO(weir_buffer) b = {...}: done at the end of scope. */
#define WEIR_AUTO(type) __attribute__((cleanup(type##_done))) struct type

/* A run of bytes that somebody else owns. */
struct weir_bytes {
    const uint8_t *data;
    size_t size;
};

#endif
