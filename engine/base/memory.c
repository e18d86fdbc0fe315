/* Accounts, blocks, arenas, buffers. A block carries its account and size in a 64-byte head, so
 * that weir_free needs nothing else and data stays aligned for SIMD. */
#include "engine/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_HEAD    64
#define ARENA_FIRST   (16 * 1024)
#define ARENA_LARGEST (1024 * 1024)

struct block_head {
    struct weir_account *account;
    size_t size;
};

struct weir_arena_block {
    struct weir_arena_block *next;
    size_t capacity, used;
    _Alignas(64) uint8_t data[];
};

void weir_account_init(struct weir_account *account, struct weir_account *parent, const char *name,
                       size_t limit)
{
    account->parent = parent;
    account->name = name;
    account->limit = limit;
    account->context = parent ? parent->context : NULL;
    atomic_init(&account->used, 0);
    atomic_init(&account->peak, 0);
}

static void account_peak(struct weir_account *account, size_t used)
{
    size_t peak = atomic_load_explicit(&account->peak, memory_order_relaxed);
    while (used > peak && !atomic_compare_exchange_weak(&account->peak, &peak, used))
        ;
}

weir_status weir_account_charge(struct weir_account *account, size_t size,
                                struct weir_error *reterr)
{
    for (struct weir_account *at = account; at; at = at->parent) {
        size_t used = atomic_fetch_add(&at->used, size) + size;
        if ((at->limit && used > at->limit) || used < size) {
            for (struct weir_account *back = account;; back = back->parent) {
                atomic_fetch_sub(&back->used, size);
                if (back == at)
                    break;
            }
            weir_status status = weir_fail(
                reterr, WEIR_NO_MEMORY,
                "%s: %zu bytes more would pass the limit of %zu (in use: %zu)", at->name, size,
                at->limit, used - size);
            weir_error_hint(reterr,
                            "raise run.memory_limit, or make run.window or row_group smaller");
            return status;
        }
        account_peak(at, used);
    }
    return WEIR_OK;
}

void weir_account_release(struct weir_account *account, size_t size)
{
    for (; account; account = account->parent)
        atomic_fetch_sub(&account->used, size);
}

static struct block_head *block_head(const void *block)
{
    return (struct block_head *)((uint8_t *)(uintptr_t)block - BLOCK_HEAD);
}

size_t weir_block_size(const void *block)
{
    return block ? block_head(block)->size : 0;
}

weir_status weir_alloc(struct weir_account *account, size_t size, void *ret_block,
                       struct weir_error *reterr)
{
    if (size > SIZE_MAX / 2)
        return weir_fail(reterr, WEIR_NO_MEMORY, "%zu bytes asked for", size);
    size_t whole = BLOCK_HEAD + (size + 63) / 64 * 64;
    WEIR_TRY(weir_account_charge(account, whole, reterr));
    uint8_t *raw = aligned_alloc(64, whole);
    if (!raw) {
        weir_account_release(account, whole);
        return weir_fail(reterr, WEIR_NO_MEMORY, "the system gave no %zu bytes", size);
    }
    *(struct block_head *)raw = (struct block_head){account, size};
    *(void **)ret_block = raw + BLOCK_HEAD;
    return WEIR_OK;
}

weir_status weir_alloc_zero(struct weir_account *account, size_t count, size_t size,
                            void *ret_block, struct weir_error *reterr)
{
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole))
        return weir_fail(reterr, WEIR_NO_MEMORY, "%zu times %zu bytes asked for", count, size);
    void *block;
    WEIR_TRY(weir_alloc(account, whole, &block, reterr));
    memset(block, 0, whole);
    *(void **)ret_block = block;
    return WEIR_OK;
}

weir_status weir_realloc(void *block_pointer, struct weir_account *account, size_t size,
                         struct weir_error *reterr)
{
    void *old = *(void **)block_pointer, *block;
    if (old && size <= (weir_block_size(old) + 63) / 64 * 64) {
        block_head(old)->size = size > block_head(old)->size ? size : block_head(old)->size;
        return WEIR_OK;
    }
    WEIR_TRY(weir_alloc(account, size, &block, reterr));
    if (old)
        memcpy(block, old, weir_block_size(old) < size ? weir_block_size(old) : size);
    weir_free(old);
    *(void **)block_pointer = block;
    return WEIR_OK;
}

void weir_free(void *block)
{
    if (!block)
        return;
    struct block_head *head = block_head(block);
    weir_account_release(head->account, BLOCK_HEAD + (head->size + 63) / 64 * 64);
    free(head);
}

void weir_arena_init(struct weir_arena *arena, struct weir_account *account)
{
    *arena = (struct weir_arena){.account = account};
}

static void arena_free_after(struct weir_arena_block *block)
{
    while (block) {
        struct weir_arena_block *next = block->next;
        weir_free(block);
        block = next;
    }
}

void weir_arena_reset(struct weir_arena *arena)
{
    arena->used = 0;
    if (!arena->first)
        return;
    arena_free_after(arena->first->next);
    arena->first->next = NULL;
    arena->first->used = 0;
    arena->current = arena->first;
}

void weir_arena_done(struct weir_arena *arena)
{
    if (!arena)
        return;
    arena_free_after(arena->first);
    arena->first = arena->current = NULL;
    arena->used = 0;
}

static weir_status arena_grow(struct weir_arena *arena, size_t size, struct weir_error *reterr)
{
    size_t capacity = arena->current ? arena->current->capacity * 2 : ARENA_FIRST;
    capacity = capacity > ARENA_LARGEST ? ARENA_LARGEST : capacity;
    capacity = capacity < size ? size : capacity;
    struct weir_arena_block *block;
    WEIR_TRY(weir_alloc(arena->account, sizeof *block + capacity, &block, reterr));
    block->next = NULL;
    block->capacity = capacity;
    block->used = 0;
    if (arena->current)
        arena->current->next = block;
    else
        arena->first = block;
    arena->current = block;
    return WEIR_OK;
}

weir_status weir_arena_alloc(struct weir_arena *arena, size_t size, void *ret_pointer,
                             struct weir_error *reterr)
{
    if (size > SIZE_MAX / 4)
        return weir_fail(reterr, WEIR_NO_MEMORY, "%zu bytes asked for", size);
    size_t align = size >= 64 ? 64 : 8;
    size_t at = arena->current ? (arena->current->used + align - 1) / align * align : 0;
    if (!arena->current || at + size > arena->current->capacity) {
        WEIR_TRY(arena_grow(arena, size, reterr));
        at = 0;
    }
    *(void **)ret_pointer = arena->current->data + at;
    arena->current->used = at + size;
    arena->used += size;
    return WEIR_OK;
}

weir_status weir_arena_zero(struct weir_arena *arena, size_t count, size_t size, void *ret_pointer,
                            struct weir_error *reterr)
{
    size_t whole;
    void *pointer;
    if (__builtin_mul_overflow(count, size, &whole))
        return weir_fail(reterr, WEIR_NO_MEMORY, "%zu times %zu bytes asked for", count, size);
    WEIR_TRY(weir_arena_alloc(arena, whole, &pointer, reterr));
    memset(pointer, 0, whole);
    *(void **)ret_pointer = pointer;
    return WEIR_OK;
}

weir_status weir_arena_copy(struct weir_arena *arena, const void *data, size_t size,
                            char **ret_copy, struct weir_error *reterr)
{
    char *copy;
    WEIR_TRY(weir_arena_alloc(arena, size + 1, &copy, reterr));
    if (size)
        memcpy(copy, data, size);
    copy[size] = '\0';
    *ret_copy = copy;
    return WEIR_OK;
}

weir_status weir_arena_print(struct weir_arena *arena, char **ret_text, struct weir_error *reterr,
                             const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text;
    weir_status status = length < 0 ? weir_fail(reterr, WEIR_INTERNAL, "bad format")
                                    : weir_arena_alloc(arena, (size_t)length + 1, &text, reterr);
    if (status == WEIR_OK) {
        vsnprintf(text, (size_t)length + 1, format, again);
        *ret_text = text;
    }
    va_end(again);
    return status;
}

void weir_buffer_init(struct weir_buffer *buffer, struct weir_account *account)
{
    *buffer = (struct weir_buffer){.account = account};
}

void weir_buffer_done(struct weir_buffer *buffer)
{
    if (!buffer)
        return;
    weir_free(buffer->data);
    buffer->data = NULL;
    buffer->size = buffer->capacity = 0;
}

void weir_buffer_clear(struct weir_buffer *buffer)
{
    buffer->size = 0;
}

weir_status weir_buffer_reserve(struct weir_buffer *buffer, size_t more, struct weir_error *reterr)
{
    if (more <= buffer->capacity - buffer->size)
        return WEIR_OK;
    if (more > SIZE_MAX / 4)
        return weir_fail(reterr, WEIR_NO_MEMORY, "%zu bytes asked for", more);
    size_t capacity = buffer->capacity ? buffer->capacity * 2 : 256;
    while (capacity < buffer->size + more)
        capacity *= 2;
    WEIR_TRY(weir_realloc(&buffer->data, buffer->account, capacity, reterr));
    buffer->capacity = capacity;
    return WEIR_OK;
}

weir_status weir_buffer_append(struct weir_buffer *buffer, const void *data, size_t size,
                               struct weir_error *reterr)
{
    WEIR_TRY(weir_buffer_reserve(buffer, size + 1, reterr));
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return WEIR_OK;
}

weir_status weir_buffer_print(struct weir_buffer *buffer, struct weir_error *reterr,
                              const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    weir_status status = length < 0 ? weir_fail(reterr, WEIR_INTERNAL, "bad format")
                                    : weir_buffer_reserve(buffer, (size_t)length + 1, reterr);
    if (status == WEIR_OK) {
        vsnprintf((char *)buffer->data + buffer->size, (size_t)length + 1, format, again);
        buffer->size += (size_t)length;
    }
    va_end(again);
    return status;
}
