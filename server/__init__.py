"""The application: web, media, storage, jobs, command line. The only place where parts meet."""
