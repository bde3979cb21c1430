"""The application: web, media, storage, jobs and the command line. The only place where parts meet."""
