/* Who may send: a file of `tenant sha256` lines, never the tokens themselves. Read again when it
 * changes; a version with a mistake is not taken over. */
#include "scheduler/gateway/gateway_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 1000, FILE_SIZE_MAX = 64 << 20 };

static weir_status wrong(const struct tokens *tokens, size_t line, const char *what,
                         struct weir_error *reterr)
{
    weir_status status = weir_fail(reterr, WEIR_USAGE, "%.500s:%zu: %s", tokens->path, line, what);
    weir_error_hint(reterr, "a line is `tenant sha256`; * is any tenant: printf %%s \"$TOKEN\" | "
                            "sha256sum");
    return status;
}

static weir_status parse_line(const struct tokens *tokens, const char *from, const char *to,
                              size_t line, struct token *ret_token, struct weir_error *reterr)
{
    size_t tenant = 0, blank = 0, digest = 0;
    while (from + tenant < to && from[tenant] != ' ' && from[tenant] != '\t')
        tenant++;
    while (from + tenant + blank < to &&
           (from[tenant + blank] == ' ' || from[tenant + blank] == '\t'))
        blank++;
    const char *hex = from + tenant + blank;
    while (to > hex && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
        to--;
    digest = (size_t)(to - hex);
    if (tenant == 0 || tenant >= GATEWAY_TENANT_SIZE || memchr(from, 0, tenant))
        return wrong(tokens, line, "no tenant, or too long a name", reterr);
    if (digest != 64)
        return wrong(tokens, line, "expected 64 hexadecimal digits behind the tenant", reterr);
    *ret_token = (struct token){.left = (double)tokens->burst};
    memcpy(ret_token->tenant, from, tenant);
    for (size_t i = 0; i < 64; i++) {
        char c = (char)(hex[i] >= 'A' && hex[i] <= 'F' ? hex[i] + 32 : hex[i]);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return wrong(tokens, line, "expected 64 hexadecimal digits behind the tenant", reterr);
        ret_token->digest[i] = c;
    }
    return WEIR_OK;
}

static weir_status parse(const struct tokens *tokens, const struct weir_buffer *text,
                         struct token *list, size_t *ret_count, struct weir_error *reterr)
{
    const char *at = (const char *)text->data, *end = at + text->size;
    size_t line = 0, count = 0;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        const char *from = at + strspn(at, " \t\r");
        line++;
        at = stop + 1;
        if (from >= stop || *from == '#')
            continue;
        if (list)
            WEIR_TRY(parse_line(tokens, from, stop, line, &list[count], reterr));
        if (++count > GATEWAY_TOKENS_MAX)
            return wrong(tokens, line, "too many tokens", reterr);
    }
    *ret_count = count;
    return WEIR_OK;
}

static weir_status read_all(const struct tokens *tokens, struct weir_buffer *out,
                            struct weir_error *reterr)
{
    char piece[8192];
    int file = open(tokens->path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : 0;
    weir_status status = WEIR_OK;
    while (file >= 0 && status == WEIR_OK && (got = read(file, piece, sizeof piece)) > 0)
        status = out->size > FILE_SIZE_MAX
                     ? weir_fail(reterr, WEIR_USAGE, "%.500s: too large", tokens->path)
                     : weir_buffer_append(out, piece, (size_t)got, reterr);
    if (status == WEIR_OK && got < 0)
        status = weir_fail(reterr, WEIR_USAGE, "gateway.tokens: %.500s: %s", tokens->path,
                           strerror(errno));
    if (file >= 0)
        close(file);
    if (status == WEIR_OK)
        status = weir_buffer_append(out, "", 1, reterr);
    if (status == WEIR_OK)
        out->size--; /* a NUL behind, for strspn */
    return status;
}

/* What a token has used up stays used up. */
static void take_over(struct tokens *tokens, struct token *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < tokens->count; k++)
            if (strcmp(list[i].digest, tokens->list[k].digest) == 0) {
                list[i].left = tokens->list[k].left;
                list[i].at_ms = tokens->list[k].at_ms;
            }
    weir_free(tokens->list);
    tokens->list = list;
    tokens->count = count;
}

static weir_status load(struct tokens *tokens, struct weir_error *reterr)
{
    struct token *list = NULL;
    size_t count = 0;
    WEIR_AUTO(weir_buffer) text;
    weir_buffer_init(&text, tokens->account);
    WEIR_TRY(read_all(tokens, &text, reterr));
    WEIR_TRY(parse(tokens, &text, NULL, &count, reterr));
    WEIR_TRY(weir_alloc_zero(tokens->account, count + 1, sizeof *list, &list, reterr));
    weir_status status = parse(tokens, &text, list, &count, reterr);
    if (status != WEIR_OK) {
        weir_free(list);
        return status;
    }
    take_over(tokens, list, count);
    return WEIR_OK;
}

static bool has_changed(struct tokens *tokens)
{
    struct stat facts;
    if (stat(tokens->path, &facts) != 0)
        return false; /* being replaced: the old ones hold */
    bool same = facts.st_size == tokens->size && facts.st_mtim.tv_sec == tokens->changed.seconds &&
                facts.st_mtim.tv_nsec == tokens->changed.nanoseconds;
    tokens->size = facts.st_size;
    tokens->changed.seconds = facts.st_mtim.tv_sec;
    tokens->changed.nanoseconds = facts.st_mtim.tv_nsec;
    return !same;
}

weir_status tokens_init(struct tokens *tokens, const struct weir_gateway_config *config,
                        struct weir_account *account, struct weir_error *reterr)
{
    *tokens = (struct tokens){
        .path = config->tokens, .account = account, .rate = config->rate, .burst = config->burst};
    pthread_mutex_init(&tokens->lock, NULL);
    if (!tokens->path)
        return WEIR_OK;
    has_changed(tokens);
    return load(tokens, reterr);
}

void tokens_done(struct tokens *tokens)
{
    weir_free(tokens->list);
    pthread_mutex_destroy(&tokens->lock);
}

static void look_again(struct tokens *tokens, int64_t now_ms)
{
    struct weir_error error = {0};
    if (now_ms - tokens->looked_ms < LOOK_EVERY_MS)
        return;
    tokens->looked_ms = now_ms;
    if (has_changed(tokens) && load(tokens, &error) != WEIR_OK)
        fprintf(stderr, "weir: %s; the tokens read before stay in force\n", error.text);
}

/* Every one is compared to its end: how long it takes tells nothing. */
static struct token *find(struct tokens *tokens, const char digest[65])
{
    struct token *found = NULL;
    for (size_t i = 0; i < tokens->count; i++) {
        unsigned difference = 0;
        for (size_t k = 0; k < 64; k++)
            difference |= (unsigned)(tokens->list[i].digest[k] ^ digest[k]);
        found = difference == 0 ? &tokens->list[i] : found;
    }
    return found;
}

static int64_t spend(const struct tokens *tokens, struct token *token, int64_t now_ms)
{
    if (tokens->rate == 0)
        return 0;
    double gained = (double)(now_ms - token->at_ms) * (double)tokens->rate / 1000.0;
    if (token->at_ms)
        token->left += gained > 0 ? gained : 0;
    if (token->left > (double)tokens->burst)
        token->left = (double)tokens->burst;
    token->at_ms = now_ms;
    if (token->left >= 1.0) {
        token->left -= 1.0;
        return 0;
    }
    return (int64_t)((1.0 - token->left) * 1000.0 / (double)tokens->rate) + 1;
}

bool tokens_admit(struct tokens *tokens, const char *authorization, int64_t now_ms,
                  char ret_tenant[GATEWAY_TENANT_SIZE], int64_t *ret_wait_ms)
{
    char digest[65];
    *ret_wait_ms = 0;
    if (!tokens->path) {
        memcpy(ret_tenant, "*", 2);
        return true;
    }
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    const char *secret = authorization + 7 + strspn(authorization + 7, " ");
    weir_spool_digest(secret, strlen(secret), digest);
    pthread_mutex_lock(&tokens->lock);
    look_again(tokens, now_ms);
    struct token *token = find(tokens, digest);
    if (token) {
        memcpy(ret_tenant, token->tenant, GATEWAY_TENANT_SIZE);
        *ret_wait_ms = spend(tokens, token, now_ms);
    }
    pthread_mutex_unlock(&tokens->lock);
    return token != NULL;
}
