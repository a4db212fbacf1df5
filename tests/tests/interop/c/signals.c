/* signals WHAT: handlers of signals that leave a call of the program's, or make one. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static sigjmp_buf before;
static int own, got_type;
static volatile sig_atomic_t counted;

static void leave(int number) {
    (void)number;
    siglongjmp(before, 1);
}

/* Makes a socket once the program's own answer is there. */
static void ask(int number) {
    (void)number;
    socklen_t length = sizeof got_type;
    usleep(1000000);
    own = socket(AF_INET, SOCK_DGRAM, 0);
    if (getsockopt(own, SOL_SOCKET, SO_TYPE, &got_type, &length) < 0)
        got_type = -errno;
}

static void on_alarm(void (*handler)(int), long micros) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct itimerval time = {.it_value.tv_usec = micros};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &time, NULL);
}

static void look_up(const char *name) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    char text[INET_ADDRSTRLEN];
    int code = getaddrinfo(name, NULL, &hints, &found);
    if (code != 0) {
        printf("%s: %s\n", name, gai_strerror(code));
        return;
    }
    struct sockaddr_in *address = (struct sockaddr_in *)found->ai_addr;
    printf("%s: %s\n", name, inet_ntop(AF_INET, &address->sin_addr, text, sizeof text));
    freeaddrinfo(found);
}

static void leave_a_look_up(const char *name) {
    if (sigsetjmp(before, 1) == 0) {
        on_alarm(leave, 100000);
        look_up(name);
        puts("it was not left");
    }
}

static int descriptors(void) {
    int count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (readdir(all))
        count++;
    closedir(all);
    return count;
}

/* Sockets as ever: made, bound, and asked. */
static void use_sockets(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int type = 0, fd = socket(AF_INET, SOCK_DGRAM, 0);
    int bound = bind(fd, (struct sockaddr *)&address, length);
    int named = getsockname(fd, (struct sockaddr *)&address, &length);
    length = sizeof type;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
    printf("%d %d %d %d\n", bound, named, address.sin_port != 0, type == SOCK_DGRAM);
    close(fd);
}

static void count(int number) {
    (void)number;
    counted++;
}

/* Every 20 ms from now on. */
static void tick(int flags) {
    struct sigaction action = {.sa_handler = count, .sa_flags = flags};
    struct itimerval often = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

/* Connects in so many milliseconds (0: any number), and tells how that ends. */
static int tell_connect(const char *what, int fd, const char *to, long millis) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct itimerval never = {0};
    struct timeval patience = {millis / 1000, millis % 1000 * 1000};
    inet_pton(AF_INET, to, &address.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int done = connect(fd, (struct sockaddr *)&address, sizeof address);
    int error = errno;
    setitimer(ITIMER_REAL, &never, NULL);
    printf("%s: %s\n", what, done < 0 ? strerrorname_np(error) : "connected");
    return fd;
}

static int stream(void) {
    return socket(AF_INET, SOCK_STREAM, 0);
}

/* An address that nobody has, and one that Linux has after a while. */
static void connect_amid_signals(const char *nobody, const char *late) {
    if (fork() == 0) {
        usleep(1000000);
        execlp("ip", "ip", "address", "add", late, "dev", "tap0", NULL);
        _exit(1);
    }
    tick(SA_RESTART);
    int fd = tell_connect("restarted", stream(), late, 0);
    printf("signals: %d\n", counted > 10);
    close(fd);
    tick(0);
    fd = tell_connect("not restarted", stream(), nobody, 0);
    close(fd);
    tell_connect("without signals", stream(), late, 0);
    tick(SA_RESTART);
    tell_connect("restarted in time", stream(), nobody, 5000);
    tell_connect("in time", stream(), nobody, 100);
    tell_connect("in next to no time", stream(), nobody, 1);
    use_sockets();
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "left") == 0) {
        leave_a_look_up("slow.test");
        usleep(1000000);
        /* The answer that nobody waits for is there. */
        look_up("fast.test");
        leave_a_look_up("slow.test");
        look_up("fast.test");
        usleep(1000000);
        use_sockets();
        int before_many = descriptors();
        for (int turn = 0; turn < 20; turn++)
            leave_a_look_up("slow.test");
        printf("few stay open: %d\n", descriptors() < before_many + 10);
        look_up("fast.test");
        use_sockets();
    } else if (argc == 2 && strcmp(argv[1], "asked") == 0) {
        on_alarm(ask, 100000);
        look_up("slow.test");
        printf("a handler: %d %d\n", own >= 0, got_type == SOCK_DGRAM);
        use_sockets();
        look_up("fast.test");
    } else if (argc == 4 && strcmp(argv[1], "connect") == 0) {
        connect_amid_signals(argv[2], argv[3]);
    } else {
        return 2;
    }
    return 0;
}
