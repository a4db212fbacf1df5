/* life WRONG RIGHT: what tapstack_init and tapstack_fini promise, told line by line. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <tapstack.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *what, int answer) {
    printf("%s: %s\n", what, answer < 0 ? strerror(errno) : "ok");
    fflush(stdout);
}

static void on_signal(int number) { (void)number; }

/* A signal for this process, whose only thread waits for it; its number. */
static int signalled(void) {
    struct timespec long_enough = {10, 0};
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGUSR1);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    signal(SIGUSR1, on_signal);
    kill(getpid(), SIGUSR1);
    return sigtimedwait(&wanted, NULL, &long_enough);
}

/* A listener on port 7. */
static int hang_out(void) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(7)};
    int fd = tapstack_socket(AF_INET, SOCK_STREAM, 0);
    if (tapstack_bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || tapstack_listen(fd, 5) < 0)
        perror("listen");
    return fd;
}

/* Says a line to one client; a child that has ended in between changes nothing. */
static void serve(int listener, const char *line) {
    int fd = tapstack_accept(listener, NULL, NULL);
    if (fork() == 0)
        exit(0);
    wait(NULL);
    tapstack_write(fd, line, strlen(line));
    tapstack_close(fd);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    tell("a socket before", tapstack_socket(AF_INET, SOCK_STREAM, 0));
    tapstack_fini();
    tell("wrong", tapstack_init(argv[1]));
    tell("right", tapstack_init(argv[2]));
    tell("a signal", signalled());
    int listener = hang_out();
    tell("once more", tapstack_init(argv[2]));
    serve(listener, "first\n");
    tapstack_fini();
    tell("accept after", tapstack_accept(listener, NULL, NULL));
    tell("a socket after", tapstack_socket(AF_INET, SOCK_STREAM, 0));
    tapstack_close(listener);
    tell("again", tapstack_init(argv[2]));
    serve(hang_out(), "second\n");
    return 0;
}
