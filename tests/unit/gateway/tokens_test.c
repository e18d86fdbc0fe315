/* Tokens: the file, who is let in, and how often. */
#include "scheduler/gateway/gateway_int.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/weir-tokens-XXXXXX";
static struct weir_account account;

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void line(char out[400], const char *tenant, const char *token)
{
    char digest[65];
    weir_spool_digest(token, strlen(token), digest);
    snprintf(out, 400, "%s %s\n", tenant, digest);
}

static void set_up(void)
{
    weir_account_init(&account, NULL, "test", 0);
    cr_assert_geq(close(mkstemp(path)), 0);
}

static void tear_down(void)
{
    unlink(path);
}

TestSuite(tokens, .init = set_up, .fini = tear_down);

static weir_status open_tokens(struct tokens *tokens, int64_t rate, int64_t burst,
                               struct weir_error *error)
{
    struct weir_gateway_config config = {.tokens = path, .rate = rate, .burst = burst};
    return tokens_init(tokens, &config, &account, error);
}

Test(tokens, a_token_is_its_tenants)
{
    struct tokens tokens;
    char text[900], one[400], two[400], tenant[GATEWAY_TENANT_SIZE];
    int64_t wait;
    line(one, "acme", "first");
    line(two, "*", "second");
    snprintf(text, sizeof text, "# comment\n\n  %s%s", one, two);
    write_file(text);
    cr_assert_eq(open_tokens(&tokens, 0, 0, NULL), WEIR_OK);
    cr_assert(tokens_admit(&tokens, "Bearer first", 0, tenant, &wait));
    cr_assert_str_eq(tenant, "acme");
    cr_assert(tokens_admit(&tokens, "bearer  second", 0, tenant, &wait));
    cr_assert_str_eq(tenant, "*");
    cr_assert_not(tokens_admit(&tokens, "Bearer firs", 0, tenant, &wait));
    cr_assert_not(tokens_admit(&tokens, "Bearer ", 0, tenant, &wait));
    cr_assert_not(tokens_admit(&tokens, "Basic first", 0, tenant, &wait));
    cr_assert_not(tokens_admit(&tokens, NULL, 0, tenant, &wait));
    tokens_done(&tokens);
}

Test(tokens, so_many_a_second)
{
    struct tokens tokens;
    char one[400], tenant[GATEWAY_TENANT_SIZE];
    int64_t wait;
    line(one, "acme", "first");
    write_file(one);
    cr_assert_eq(open_tokens(&tokens, 10, 2, NULL), WEIR_OK);
    for (int i = 0; i < 2; i++) {
        cr_assert(tokens_admit(&tokens, "Bearer first", 1000, tenant, &wait));
        cr_assert_eq(wait, 0);
    }
    cr_assert(tokens_admit(&tokens, "Bearer first", 1000, tenant, &wait));
    cr_assert(wait > 90 && wait <= 101, "%lld", (long long)wait);
    cr_assert(tokens_admit(&tokens, "Bearer first", 1101, tenant, &wait));
    cr_assert_eq(wait, 0);
    cr_assert(tokens_admit(&tokens, "Bearer first", 900, tenant, &wait), "the clock went back");
    cr_assert(wait > 0);
    tokens_done(&tokens);
}

Test(tokens, a_file_with_a_mistake_is_named_with_its_line)
{
    struct tokens tokens;
    struct weir_error error = {0};
    write_file("# one\nacme 1234\n");
    cr_assert_eq(open_tokens(&tokens, 0, 0, &error), WEIR_USAGE);
    cr_assert(strstr(error.text, ":2:"), "%s", error.text);
    tokens_done(&tokens);
    char bad[200] = "acme ";
    memset(bad + 5, 'g', 64);
    write_file(bad);
    cr_assert_eq(open_tokens(&tokens, 0, 0, &error), WEIR_USAGE);
    tokens_done(&tokens);
}

Test(tokens, a_changed_file_is_read_again_and_a_broken_one_is_not)
{
    struct tokens tokens;
    char one[400], tenant[GATEWAY_TENANT_SIZE];
    int64_t wait;
    line(one, "acme", "first");
    write_file(one);
    cr_assert_eq(open_tokens(&tokens, 0, 0, NULL), WEIR_OK);
    line(one, "a-longer-name", "second");
    write_file(one);
    cr_assert(tokens_admit(&tokens, "Bearer second", 5000, tenant, &wait));
    cr_assert_not(tokens_admit(&tokens, "Bearer first", 5001, tenant, &wait));
    write_file("broken");
    cr_assert(tokens_admit(&tokens, "Bearer second", 9000, tenant, &wait));
    cr_assert_str_eq(tenant, "a-longer-name");
    tokens_done(&tokens);
}
