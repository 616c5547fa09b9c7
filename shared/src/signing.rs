//! Request signatures between the web app's backend, the api and the workers (DESIGN §5).
