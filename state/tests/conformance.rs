//! Every store passes the suite.

mod memory {
    use std::sync::Arc;

    use simfleet_state::conformance::{Fixture, VirtualHost};
    use simfleet_state::{Keys, MemoryStore, StateStore};

    struct Memory(MemoryStore);

    impl Fixture for Memory {
        fn new(host: Arc<VirtualHost>) -> Self {
            Memory(MemoryStore::new(host))
        }

        fn store(&self) -> Arc<dyn StateStore> {
            Arc::new(self.0.clone())
        }

        fn store_with(&self, keys: Keys) -> Arc<dyn StateStore> {
            Arc::new(self.0.clone().with_keys(keys))
        }

        fn bytes(&self) -> Vec<u8> {
            format!("{:?}", self.0).into_bytes()
        }
    }

    simfleet_state::suite!(Memory);
}

mod sqlite {
    use std::sync::Arc;

    use simfleet_state::conformance::{Fixture, VirtualHost};
    use simfleet_state::{Keys, SqliteStore, StateStore};
    use tempfile::TempDir;

    struct Sqlite {
        host: Arc<VirtualHost>,
        folder: TempDir,
    }

    impl Fixture for Sqlite {
        fn new(host: Arc<VirtualHost>) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            Sqlite { host, folder }
        }

        fn store(&self) -> Arc<dyn StateStore> {
            let path = self.folder.path().join(".simfleet/state.db");
            Arc::new(SqliteStore::new(path).with_host(self.host.clone()))
        }

        fn store_with(&self, keys: Keys) -> Arc<dyn StateStore> {
            let path = self.folder.path().join(".simfleet/state.db");
            Arc::new(SqliteStore::new(path).with_host(self.host.clone()).with_keys(keys))
        }

        fn bytes(&self) -> Vec<u8> {
            let files = std::fs::read_dir(self.folder.path().join(".simfleet")).expect("a folder");
            let read = |file: std::io::Result<std::fs::DirEntry>| std::fs::read(file.expect("a file").path());
            files.flat_map(|file| read(file).expect("readable")).collect()
        }
    }

    simfleet_state::suite!(Sqlite);
}
